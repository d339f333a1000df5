"""The app factory of the demo shop: an ordinary Flask shop, and the few lines that bring Encore into it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask, Response, request, session

from flask_encore import ChargeEvent, Encore
from flask_encore.demo import till, views, visit
from flask_encore.demo.books import Books
from flask_encore.demo.checkout import Checkout, StripeAccess
from flask_encore.demo.pictures import picture_url
from flask_encore.demo.shop import KEY, Shop, shop
from flask_encore.demo.tax import quote
from flask_encore.demo.words import LOCALES, RIGHT_TO_LEFT, day, money, word
from flask_encore.domain.ports import Clock
from flask_encore.services.runtime import utc_now

#: Percent of the simulated shoppers: twice the default, so that both arms have the customers and the buyers an uplift
#: needs with half the orders, and the shop opens within a minute.
HOLDOUT_PERCENT = 20

#: A basket posted by hand need not be larger than this, bytes.
LARGEST_FORM = 64_000


def create_app(
    *, instance: Path, stripe: StripeAccess, config: Mapping[str, Any] | None = None, clock: Clock = utc_now
) -> Flask:
    """The shop with Encore in it. Tables are made; shelves are filled by `stock.ensure_stocked`.

    Args:
        instance: Folder of both databases, the models and the session key; made when it is not there.
        config: Laid over the shop's own configuration, such as ``{"ENCORE_HOLDOUT_PERCENT": 10}``.
    """
    instance.mkdir(parents=True, exist_ok=True)
    app = Flask("flask_encore.demo", instance_path=str(instance.resolve()))
    app.config.update(
        SECRET_KEY=_session_key(instance / "session-key"),
        SESSION_COOKIE_NAME="pottle",
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=LARGEST_FORM,
        ENCORE_THANK_YOU={"shop.thank_you": "order_ref"},
        ENCORE_ORDER_STATUS={"shop.order": "order_ref"},
        ENCORE_QUOTE=quote,
        ENCORE_STRIPE_SECRET_KEY=stripe.secret_key,
        ENCORE_STRIPE_PUBLISHABLE_KEY=stripe.publishable_key,
        ENCORE_STRIPE_API_BASE=stripe.api_base,
        ENCORE_STRIPE_WEBHOOK_SECRETS=stripe.webhook_secrets,
        # Whoever tries the shop by hand is never in it (`visit.treated`).
        ENCORE_HOLDOUT_PERCENT=HOLDOUT_PERCENT,
        # A stranger who tries the shop has to see the offer, on a computer that may be busy with other things.
        ENCORE_DECISION_BUDGET_MS=2_000,
    )
    if stripe.js_url:
        app.config["ENCORE_STRIPE_JS_URL"] = stripe.js_url
    app.config.update(config or {})
    encore = Encore()
    app.extensions[KEY] = Shop(
        books=Books(instance / "shop.sqlite3"),
        checkout=Checkout(stripe),
        access=stripe,
        encore=encore,
        clock=clock,
    )
    encore.init_app(app, admin_guard=is_merchant, clock=clock)
    _listen(encore)
    app.register_blueprint(views.create_blueprint())
    app.register_error_handler(404, views.not_found)
    app.context_processor(_words_for_templates)
    app.after_request(_protect)
    with app.app_context():
        encore.upgrade()
    return app


def is_merchant() -> str | None:
    """Encore's guard: the merchant's name when this browser followed the one-time link."""
    return "demo merchant" if session.get(till.MERCHANT) else None


def _listen(encore: Encore) -> None:
    """Keep the shop's order in step with what offers sell. Both handlers are idempotent by the charge."""

    @encore.on("charge_succeeded")
    def add_lines(event: ChargeEvent) -> None:
        shop().books.add_lines(event.order_ref, charge_ref=event.charge_ref, lines=event.lines, text=event.text)

    @encore.on("charge_refunded")
    def take_lines_off(event: ChargeEvent) -> None:
        shop().books.take_lines_off(event.charge_ref)


def _words_for_templates() -> dict[str, Any]:
    locale = visit.locale()
    return {
        "t": lambda key, **values: word(key, locale, **values),
        "picture_url": picture_url,
        "money": lambda amount: money(amount, locale),
        "day": lambda when: day(when, locale),
        "locale": locale,
        "locales": LOCALES,
        "direction": "rtl" if locale in RIGHT_TO_LEFT else "ltr",
        "basket_size": sum(visit.basket().values()),
    }


def _protect(response: Response) -> Response:
    """A strict policy on the shop's own pages; Encore's pages bring their own."""
    origins = shop().access.origins
    policy = {
        "default-src": ("'none'",),
        "script-src": ("'self'", *origins["script-src"]),
        "style-src": ("'self'",),
        "img-src": ("'self'", "data:"),
        "connect-src": ("'self'", *origins["connect-src"]),
        "frame-src": origins["frame-src"],
        "form-action": ("'self'", *origins["form-action"]),
        "base-uri": ("'none'",),
        "frame-ancestors": ("'none'",),
    }
    headers = response.headers
    headers.setdefault("Content-Security-Policy", "; ".join(f"{name} {' '.join(to)}" for name, to in policy.items()))
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    if request.blueprint == "shop" and response.mimetype == "text/html":
        headers.setdefault("Cache-Control", "no-store")
    return response


def _session_key(path: Path) -> str:
    """The key that signs sessions and offers, made once per instance and readable by its owner only."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text("ascii")
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32))
    return path.read_text("ascii")
