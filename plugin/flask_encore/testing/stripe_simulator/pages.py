"""The pages beside the API: the Stripe.js stand-in, the hosted checkout, the bank's check.

Plain forms throughout: everything here works without JavaScript.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from jinja2 import Environment, FileSystemLoader

from flask_encore.testing.stripe_simulator import amounts, checkout, forms, intents
from flask_encore.testing.stripe_simulator.errors import Json, StripeError
from flask_encore.testing.stripe_simulator.webhooks import ANSWER_WITHIN
from flask_encore.testing.stripe_simulator.world import World

_FOLDER = Path(__file__).parent / "stripejs"
_TEMPLATES = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
_FILES = {"/stripe.js": "text/javascript; charset=utf-8", "/page.css": "text/css; charset=utf-8"}

#: Pictures may come from the shop; nothing else from anywhere. Forms lead on to the shop's own pages.
_POLICY = "default-src 'none'; style-src 'self'; img-src * data:; base-uri 'none'; frame-ancestors 'none'"

#: Only on this page: a card as a shop meets it that worked once and does not any more.
_DECLINED_LATER = "declined_later"

#: The buttons under the form: what is posted, what it says, what stands beside it.
_CHOICES = (
    ("4242424242424242", "Succeeds", "4242 … 4242"),
    ("5555555555554444", "Succeeds, Mastercard", "5555 … 4444"),
    ("4000002760003184", "The bank always asks (3-D Secure)", "4000 … 3184"),
    ("4000002500003155", "The bank asks once, then knows you", "4000 … 3155"),
    ("4000000000000002", "Declined", "4000 … 0002"),
    ("4000000000009995", "Insufficient funds", "4000 … 9995"),
    (_DECLINED_LATER, "Pays this order, is declined next time", "4000 … 0341"),
    ("eps", "Bank transfer that cannot be kept", "eps"),
    ("sepa_debit", "Direct debit, takes days", "sepa"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An answer for a browser."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def serve(world: World, method: str, path: str, query: str, body: str) -> Page:
    """The page at a path; 404 for none."""
    if path in _FILES and method == "GET":
        headers = {"Content-Type": _FILES[path], "Cache-Control": "no-cache"}
        return Page(body=(_FOLDER / path[1:]).read_bytes(), headers=headers)
    for pattern, handler in _HANDLERS:
        if found := pattern.fullmatch(path):
            try:
                fields = forms.decode(query, body)
                return handler(world, found[1], fields if method == "POST" else None, forms.decode(query))
            except StripeError as error:
                return _notice("This page is not available", str(error), status=error.status)
    return _notice("Nothing here", "The API is under /v1, the Stripe.js stand-in at /stripe.js.", status=404)


def _checkout(world: World, session_id: str, posted: Json | None, _: Json) -> Page:
    if posted is None:
        return _checkout_form(world, session_id)
    try:
        with world.ledger.lock:
            method = _method(world, posted)
            session = checkout.pay(
                world.ledger, session_id, method=method, email=str(posted.get("email") or "shopper@example.com")
            )
            world.save()
    except StripeError as error:
        world.save()
        if error.status != 402:
            raise
        return _checkout_form(world, session_id, error=str(error), email=str(posted.get("email") or ""))
    if session["status"] == "open":
        return _go(f"/checkout/{session_id}/bank")
    return _back_to_shop(world, session)


def _checkout_form(world: World, session_id: str, *, error: str | None = None, email: str | None = None) -> Page:
    with world.ledger.lock:
        session = checkout.retrieve(world.ledger, session_id, {})
        lines = checkout.line_items(world.ledger, session_id)["data"]
        notice = checkout.reuse_notice(world.ledger, session)
    if session["status"] != "open":
        link = checkout.success_url(session) if session["status"] == "complete" else session["cancel_url"]
        return _notice(f"This checkout is {session['status']}", "You can close this page.", link=link)
    currency = session["currency"]
    for line in lines:
        line["total"] = amounts.pretty(line["amount_total"], currency)
        line["unit"] = amounts.pretty(line["price"]["unit_amount"], currency)
    return _page(
        "checkout.html",
        status=200 if error is None else 402,
        session=session,
        lines=lines,
        notice=notice,
        error=error,
        email=email or session["customer_email"] or "shopper@example.com",
        submit_text=((session["custom_text"] or {}).get("submit") or {}).get("message"),
        total=amounts.pretty(session["amount_total"], currency),
        choices=[{"value": value, "label": label, "hint": hint} for value, label, hint in _CHOICES],
    )


def _checkout_bank(world: World, session_id: str, posted: Json | None, _: Json) -> Page:
    with world.ledger.lock:
        session = checkout.retrieve(world.ledger, session_id, {})
    if posted is None:
        total = amounts.pretty(session["amount_total"], session["currency"])
        return _page("bank.html", total=total, action=f"/checkout/{session_id}/bank")
    try:
        with world.ledger.lock:
            session = checkout.authenticate(world.ledger, session_id, success=posted.get("success") == "true")
            world.save()
    except StripeError as error:
        world.save()
        if error.body["error"].get("payment_intent") is None or error.status != 402:
            raise
        return _checkout_form(world, session_id, error=str(error))
    return _back_to_shop(world, session)


def _bank(world: World, intent_id: str, posted: Json | None, query: Json) -> Page:
    """The bank's page of a redirecting confirmation (``next_action.redirect_to_url``)."""
    given = query if posted is None else posted
    with world.ledger.lock:
        intent = world.ledger.get("payment_intent", intent_id)
        if intent["client_secret"] != given.get("client_secret"):
            return _notice("This page is not available", "The link is not complete.", status=404)
        if intent["status"] != "requires_action":
            return _notice("Nothing to confirm", f"This payment is {intent['status']}.")
        if posted is None:
            total = amounts.pretty(intent["amount"], intent["currency"])
            secret = intent["client_secret"]
            return _page("bank.html", total=total, action=f"/3ds/{intent_id}", client_secret=secret)
        action = intent["next_action"]
        passed = posted.get("success") == "true"
        after = intents.authenticate(world.ledger, intent_id, success=passed)
        world.save()
    if action["type"] != "redirect_to_url":
        return _notice("Thank you", "You can close this page.")
    outcome = "succeeded" if after["status"] == "succeeded" else "failed"
    answer = {
        "payment_intent": intent_id,
        "payment_intent_client_secret": after["client_secret"],
        "redirect_status": outcome,
    }
    return _go(_with_query(action["redirect_to_url"]["return_url"], answer))


def _method(world: World, posted: Json) -> Json:
    chosen = str(posted.get("pay") or "number")
    if chosen == _DECLINED_LATER:
        method = checkout.method_for(world.ledger, number="4000000000000341")
        world.ledger.vault[method["id"]]["lenient"] = True
        return method
    if chosen.isdecimal():
        return checkout.method_for(world.ledger, number=chosen)
    if chosen != "number":
        return checkout.method_for(world.ledger, kind=chosen)
    digits = re.sub(r"\D", "", str(posted.get("exp") or ""))
    card = {"exp_month": digits[:2], "exp_year": digits[2:], "cvc": posted.get("cvc")}
    return checkout.method_for(world.ledger, number=str(posted.get("number") or ""), card=card)


def _back_to_shop(world: World, session: Json) -> Page:
    """Stripe waits for the shop to take note of the payment before it sends the shopper back."""
    if world.webhooks.auto and world.webhooks.endpoints:
        world.webhooks.wait_until_sent(timeout=ANSWER_WITHIN)
    return _go(checkout.success_url(session))


def _with_query(url: str, more: dict[str, str]) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), *more.items()])))


def _go(url: str) -> Page:
    return Page(status=303, headers={"Location": url, "Cache-Control": "no-store"})


def _notice(title: str, text: str, *, status: int = 200, link: str | None = None) -> Page:
    return _page("notice.html", status=status, title=title, text=text, link=link)


def _page(template: str, *, status: int = 200, **context: object) -> Page:
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": _POLICY,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
    }
    return Page(status=status, body=_TEMPLATES.get_template(template).render(context).encode(), headers=headers)


_HANDLERS: tuple[tuple[re.Pattern[str], Callable[[World, str, Json | None, Json], Page]], ...] = (
    (re.compile(r"/checkout/(cs_test_\w+)"), _checkout),
    (re.compile(r"/checkout/(cs_test_\w+)/bank"), _checkout_bank),
    (re.compile(r"/3ds/(pi_\w+)"), _bank),
)
