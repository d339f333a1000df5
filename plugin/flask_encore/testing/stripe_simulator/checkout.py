"""Checkout Sessions: Stripe's hosted payment page, as far as a shop's thank-you page depends on it."""

from __future__ import annotations

import copy

from flask_encore.testing.stripe_simulator import amounts, cards, customers, forms, intents
from flask_encore.testing.stripe_simulator.errors import Json, StripeError, invalid, refused
from flask_encore.testing.stripe_simulator.ledger import Ledger

#: A session lives a day unless told otherwise, in seconds.
LIFETIME = 24 * 60 * 60

#: What Stripe says under the button when the card will be kept.
REUSE_NOTICES = {
    "off_session": "By paying, you allow this shop to save your payment method and charge it for future payments.",
    "on_session": "By paying, you allow this shop to save your payment details for your next purchases.",
}


def create(ledger: Ledger, params: Json) -> Json:
    """A new open session with its page's address in ``url``.

    Raises:
        StripeError: 400 for another mode than payment, no lines, or mixed currencies.
    """
    if forms.text(params, "mode") != "payment":
        raise invalid("The simulator knows mode=payment only.", param="mode")
    success_url = forms.text(params, "success_url")
    if success_url is None:
        raise invalid("Missing required param: success_url.", param="success_url", code="parameter_missing")
    customer_id = forms.text(params, "customer")
    if customer_id is not None:
        ledger.get("customer", customer_id, param="customer", status=400)
    lines = _lines(params)
    currency = lines[0]["currency"]
    total = amounts.check(sum(line["amount_total"] for line in lines), currency)
    creation = forms.text(params, "customer_creation")
    session = ledger.add(
        "checkout.session",
        amount_subtotal=total,
        amount_total=total,
        cancel_url=forms.text(params, "cancel_url"),
        client_reference_id=forms.text(params, "client_reference_id"),
        consent=None,
        consent_collection=params.get("consent_collection"),
        currency=currency,
        custom_text=params.get("custom_text") or {"submit": None},
        customer=customer_id,
        customer_creation=None if customer_id else creation or "if_required",
        customer_details=None,
        customer_email=forms.text(params, "customer_email"),
        expires_at=int(params.get("expires_at") or ledger.now() + LIFETIME),
        locale=forms.text(params, "locale"),
        metadata=forms.merged_metadata({}, params),
        mode="payment",
        payment_intent=None,
        payment_method_types=params.get("allowed_payment_method_types") or ["card"],
        payment_status="unpaid",
        status="open",
        success_url=success_url,
        total_details={"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        ui_mode="hosted_page",
    )
    session["url"] = f"{ledger.origin}/checkout/{session['id']}"
    ledger.vault[session["id"]] = {
        "lines": lines,
        "payment_intent_data": params.get("payment_intent_data") or {},
    }
    return session


def retrieve(ledger: Ledger, session_id: str, params: Json) -> Json:
    """The session; its lines too when ``expand[]`` asks for them."""
    session = dict(_current(ledger, session_id))
    if any(str(path).startswith("line_items") for path in params.get("expand") or []):
        session["line_items"] = line_items(ledger, session_id)
    return session


def line_items(ledger: Ledger, session_id: str) -> Json:
    """The lines as Stripe lists them."""
    ledger.get("checkout.session", session_id)
    lines = copy.deepcopy(ledger.vault[session_id]["lines"])
    url = f"/v1/checkout/sessions/{session_id}/line_items"
    return {"object": "list", "data": lines, "has_more": False, "url": url}


def expire(ledger: Ledger, session_id: str) -> Json:
    """Close an open session.

    Raises:
        StripeError: 400 when it is not open.
    """
    session = _current(ledger, session_id)
    if session["status"] != "open":
        raise refused(f"Only Checkout Sessions with status open can be expired, this one is {session['status']}.")
    _expire(ledger, session)
    return session


def reuse_notice(ledger: Ledger, session: Json) -> str | None:
    """The sentence about keeping the card; None when it is not kept or the shop shows its own."""
    usage = ledger.vault[session["id"]]["payment_intent_data"].get("setup_future_usage")
    agreement = (session["consent_collection"] or {}).get("payment_method_reuse_agreement") or {}
    if usage is None or agreement.get("position") == "hidden":
        return None
    return REUSE_NOTICES[usage]


def pay(ledger: Ledger, session_id: str, *, method: Json, email: str) -> Json:
    """The shopper pays. Afterwards the session is complete, or its intent waits for the bank's check.

    Raises:
        StripeError: 402 when the bank declines (the session stays open), 400 when it is not open.
    """
    session = _current(ledger, session_id)
    if session["status"] != "open":
        raise refused(f"This Checkout Session is {session['status']}.")
    name = method["billing_details"]["name"]
    session["customer_details"] = {"address": None, "email": email, "name": name, "phone": None, "tax_ids": []}
    if session["customer"] is None and session["customer_creation"] == "always":
        session["customer"] = customers.create(ledger, {"email": email})["id"]
    intent = _intent(ledger, session)
    confirmed = intents.confirm(ledger, intent["id"], {"payment_method": method["id"]}, by_browser=True)
    if confirmed["status"] in ("succeeded", "processing"):
        complete(ledger, session)
    return session


def authenticate(ledger: Ledger, session_id: str, *, success: bool) -> Json:
    """The shopper answers the bank's check on the hosted page.

    Raises:
        StripeError: 402 when the payment failed (the session stays open), 400 when no check waits.
    """
    session = _current(ledger, session_id)
    if session["payment_intent"] is None:
        raise refused("This Checkout Session does not wait for a bank's check.")
    intent = intents.authenticate(ledger, session["payment_intent"], success=success)
    if intent["status"] == "requires_payment_method":
        raise intents.bank_refusal(intent)
    complete(ledger, session)
    return session


def complete(ledger: Ledger, session: Json) -> None:
    """Paid: close the session and tell the shop."""
    intent = ledger.get("payment_intent", session["payment_intent"])
    session["status"] = "complete"
    session["payment_status"] = "paid" if intent["status"] == "succeeded" else "unpaid"
    session["url"] = None
    ledger.emit("checkout.session.completed", session)


def notice_payment(ledger: Ledger, intent: Json) -> None:
    """Complete the open session whose intent was paid elsewhere than on its page, if there is one."""
    for session_id, session in ledger.tables["checkout.session"].items():
        paid = intent["status"] == "succeeded" and session["payment_intent"] == intent["id"]
        if paid and session["status"] == "open":
            complete(ledger, ledger.get("checkout.session", session_id))


def success_url(session: Json) -> str:
    """Where the shopper goes after paying."""
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def method_for(ledger: Ledger, *, number: str | None = None, kind: str = "card", card: Json | None = None) -> Json:
    """The payment method a shopper fills in: a test number, or another type by name.

    Raises:
        StripeError: 402 for a number that is no test card.
    """
    if kind == "card":
        return customers.create_method(ledger, {"type": "card", "card": {**(card or {}), "number": number}})
    return customers.create_method(ledger, {"type": kind})


def _current(ledger: Ledger, session_id: str) -> Json:
    session = ledger.take("checkout.session", session_id)
    if session["status"] == "open" and session["expires_at"] <= ledger.now():
        _expire(ledger, session)
    return session


def _expire(ledger: Ledger, session: Json) -> None:
    session.update(status="expired", url=None)
    ledger.emit("checkout.session.expired", session)


def _intent(ledger: Ledger, session: Json) -> Json:
    """The session's one PaymentIntent, made at the first try and kept through declines."""
    if session["payment_intent"] is not None:
        return ledger.get("payment_intent", session["payment_intent"])
    data = ledger.vault[session["id"]]["payment_intent_data"]
    intent = intents.create(
        ledger,
        {
            **data,
            "amount": str(session["amount_total"]),
            "currency": session["currency"],
            "customer": session["customer"],
            # The page offers types that cannot be kept as well; Stripe would have left them out.
            "payment_method_types": sorted(cards.REUSABLE | cards.SINGLE_USE),
        },
    )
    session["payment_intent"] = intent["id"]
    return intent


def _lines(params: Json) -> list[Json]:
    given = params.get("line_items")
    if not isinstance(given, list) or not given:
        raise invalid("Missing required param: line_items.", param="line_items", code="parameter_missing")
    lines = [_line(position, item) for position, item in enumerate(given)]
    if len({line["currency"] for line in lines}) > 1:
        raise invalid("All line items must have the same currency.", param="line_items")
    return lines


def _line(position: int, item: Json) -> Json:
    where = f"line_items[{position}]"
    price = item.get("price_data")
    if not isinstance(price, dict):
        raise invalid("The simulator knows prices given as price_data only.", param=f"{where}[price_data]")
    quantity = forms.integer(item, "quantity") if "quantity" in item else 1
    unit_amount = forms.integer(price, "unit_amount")
    if quantity < 1 or unit_amount < 0:
        raise invalid("Quantities start at 1 and prices at 0.", param=where, code="parameter_invalid_integer")
    product = price.get("product_data") or {}
    try:
        currency = amounts.currency(price)
    except StripeError as error:
        error.body["error"]["param"] = f"{where}[price_data][currency]"
        raise
    total = unit_amount * quantity
    return {
        "id": f"li_{position + 1}",
        "object": "item",
        "amount_discount": 0,
        "amount_subtotal": total,
        "amount_tax": 0,
        "amount_total": total,
        "currency": currency,
        "description": product.get("name", "Item"),
        "image": (product.get("images") or [None])[0],
        "price": {"currency": currency, "type": "one_time", "unit_amount": unit_amount},
        "quantity": quantity,
    }
