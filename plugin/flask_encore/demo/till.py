"""The shop's till: checkout at Stripe, the thank-you page, the order page, and the links the console prints."""

from __future__ import annotations

import secrets
from datetime import datetime

from flask import Blueprint, abort, current_app, redirect, render_template, request, session, url_for
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.wrappers import Response as BaseResponse

from flask_encore import PaidOrder, Recorded
from flask_encore.demo import visit
from flask_encore.demo.books import ShopOrder
from flask_encore.demo.checkout import CheckoutUnavailable
from flask_encore.demo.shop import shop
from flask_encore.demo.words import TAGS
from flask_encore.domain.orders import OrderLine

#: Session key of the merchant's login.
MERCHANT = "merchant"

#: How long a console's merchant link can be followed, seconds: 15 minutes, once.
MERCHANT_LINK_SECONDS = 15 * 60
#: How long the ready-made order can be looked at, seconds: as long as it could be offered something.
SAMPLE_LINK_SECONDS = 24 * 60 * 60


def mount(blueprint: Blueprint) -> None:
    """Put the till's routes on the shop's blueprint."""
    blueprint.post("/checkout")(pay)
    blueprint.get("/checkout/done")(done)
    blueprint.get("/orders/<order_ref>/thanks")(thank_you)
    blueprint.get("/orders/<order_ref>")(order)
    blueprint.get("/sample/<token>")(sample)
    blueprint.get("/merchant/<token>")(merchant)


def pay() -> BaseResponse:
    """Write the order down as pending and send the shopper to Stripe."""
    lines = visit.basket_lines()
    if not lines or not visit.total_of(lines).is_chargeable:
        return redirect(url_for("shop.show_basket"), code=303)
    locale = visit.locale()
    order_ref = shop().books.open_order(lines, customer_ref=visit.customer_ref(), locale=locale, now=shop().clock())
    done_url = url_for("shop.done", _external=True)
    try:
        checkout = shop().checkout.create(
            order_ref,
            lines,
            success_url=f"{done_url}?session_id={{CHECKOUT_SESSION_ID}}",
            cancel_url=url_for("shop.show_basket", _external=True),
            locale=locale,
        )
    except CheckoutUnavailable:
        current_app.logger.exception("no checkout for order %s", order_ref)
        return redirect(url_for("shop.show_basket", apology=1), code=303)
    shop().books.attach_session(order_ref, checkout.ref)
    return redirect(checkout.url, code=303)


def done() -> BaseResponse | tuple[str, int]:
    """Back from Stripe. What counts is what Stripe says of the session, not that somebody came here."""
    ref = request.args.get("session_id", "")
    found = shop().books.order_of_session(ref)
    if found is None or found.customer_ref != visit.customer_ref():
        abort(404)
    if not found.paid:
        try:
            checkout = shop().checkout.session(ref)
        except CheckoutUnavailable:
            current_app.logger.exception("order %s could not be checked", found.order_ref)
            return render_template("demo/not_paid.html"), 503
        if not checkout.paid or checkout.total != found.total or not checkout.payment_intent_ref:
            return render_template("demo/not_paid.html"), 402
        settle(found.order_ref, payment_intent_ref=checkout.payment_intent_ref, now=shop().clock())
        visit.empty_basket()
    visit.remember(found.order_ref)
    return redirect(url_for("shop.thank_you", order_ref=found.order_ref), code=303)


def thank_you(order_ref: str) -> str:
    """The confirmation first, and under it the place for an offer."""
    return render_template("demo/thank_you.html", order=_mine(order_ref))


def order(order_ref: str) -> str:
    """The order with everything that was added to it."""
    return render_template("demo/order.html", order=_mine(order_ref))


def sample(token: str) -> BaseResponse:
    """The ready-made order of the console's thank-you link."""
    order_ref = _opened("sample", token, seconds=SAMPLE_LINK_SECONDS)
    visit.remember(order_ref)
    return redirect(url_for("shop.thank_you", order_ref=order_ref))


def merchant(token: str) -> BaseResponse:
    """The merchant's one-time login."""
    _opened("merchant", token, seconds=MERCHANT_LINK_SECONDS)
    if not shop().books.use_link(token):
        abort(404)
    session[MERCHANT] = True
    return redirect(dashboard_path())


def dashboard_path() -> str:
    """Where Encore's dashboard is."""
    return f"{shop().encore.runtime.settings.url_prefix}/dashboard"


def link(purpose: str, value: str) -> str:
    """A signed, dated token for `sample` or `merchant`. Needs an app context."""
    return _signer(purpose).dumps([value, secrets.token_hex(8)])


def settle(order_ref: str, *, payment_intent_ref: str, now: datetime) -> None:
    """The order is paid: write it down, then tell Encore. Idempotent."""
    shop().books.pay(order_ref, payment_intent_ref=payment_intent_ref, now=now)
    found = shop().books.order(order_ref)
    if found is not None:
        tell_encore(found)


def tell_encore(paid: ShopOrder) -> None:
    """Hand the paid order to Encore, and what is left on the shelf, so that nothing sold out is offered."""
    if paid.told or paid.payment_intent_ref is None:
        return
    items = shop().books.products_of([line.sku for line in paid.lines])
    shop().encore.catalog.upsert([item.product for item in items if item.product.stock is not None])
    recorded = shop().encore.order_paid(
        PaidOrder(
            order_ref=paid.order_ref,
            placed_at=paid.placed_at,
            currency=paid.currency,
            lines=paid.lines,
            total=paid.total,
            payment_intent_ref=paid.payment_intent_ref,
            customer_ref=paid.customer_ref,
            country="GB",
            locale=TAGS[paid.locale],
        )
    )
    if recorded is not Recorded.NOT_RECORDED:
        shop().books.mark_told(paid.order_ref)


def make_sample(skus: list[str], *, now: datetime) -> str:
    """A paid order of *skus* by a shopper who was never there; its order_ref. Needs an app context."""
    lines = [
        OrderLine(sku=item.product.sku, title=item.name, quantity=1, unit_price=item.product.price)
        for item in shop().books.products_of(skus)
    ]
    shopper = visit.treated(lambda: f"sample-{secrets.token_hex(4)}")
    order_ref = shop().books.open_order(lines, customer_ref=shopper, locale="en", now=now)
    total = sum((line.unit_price for line in lines[1:]), lines[0].unit_price)
    intent = shop().checkout.pay_directly(order_ref, total)
    settle(order_ref, payment_intent_ref=intent, now=now)
    return order_ref


def _mine(order_ref: str) -> ShopOrder:
    """The paid order, if this browser placed it; one answer for "not yours" and "does not exist"."""
    found = shop().books.order(order_ref) if visit.may_see(order_ref) else None
    if found is None or not found.paid:
        abort(404)
    tell_encore(found)
    return found


def _opened(purpose: str, token: str, *, seconds: int) -> str:
    try:
        value, _nonce = _signer(purpose).loads(token, max_age=seconds)
    except BadSignature:
        abort(404)
    return str(value)


def _signer(purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt=f"demo-shop-{purpose}")
