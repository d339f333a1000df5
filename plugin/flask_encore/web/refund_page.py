"""The merchant's refund: asked once more with the amount, on a page of its own; it ends in `refunding.refund`."""

from __future__ import annotations

from flask import Blueprint, Response, g

from flask_encore.domain.charges import Charge, ChargeStatus
from flask_encore.domain.errors import GatewayError
from flask_encore.domain.rights import Right
from flask_encore.services import refunding, reporting
from flask_encore.services.runtime import Runtime, logger
from flask_encore.store import charges
from flask_encore.web import dashboard_words as words
from flask_encore.web.current import AppState, state
from flask_encore.web.dashboard_frame import changes_something, is_sealed, message, needs, on_database, page, see
from flask_encore.web.orders_page import HERE, order_url


def add_to(blueprint: Blueprint) -> None:
    """The question and its answer."""
    blueprint.get("/dashboard/charges/<charge_ref>/refund")(confirm_refund)
    blueprint.post("/dashboard/charges/<charge_ref>/refund")(refund)


@needs(Right.REFUND)
@on_database
def confirm_refund(charge_ref: str) -> Response:
    """Ask once more, with the amount, before money moves. Changes nothing."""
    app = state()
    charge = charge_called(app.runtime, charge_ref)
    return no_such_charge() if charge is None else _confirm(app, charge)


@needs(Right.REFUND)
@on_database
@changes_something("Nothing was refunded")
def refund(charge_ref: str) -> Response:
    """Refund what is left of a charge. The second click finds the first one's refund and changes nothing."""
    app = state()
    rt = app.runtime
    charge = charge_called(rt, charge_ref)
    if charge is None:
        return no_such_charge()
    if not is_sealed():
        return _confirm(app, charge, stale=True)
    if rt.gateway is None:
        return message(
            503,
            "Nothing was refunded",
            "Encore has no Stripe key, so it cannot ask for a refund: set ENCORE_STRIPE_SECRET_KEY.",
        )
    try:
        refunding.refund(rt, charge, actor=g.encore_actor)
    except GatewayError as error:
        # The request is written down; the sweeper finishes it, and the page tells how it stands.
        logger.warning("refund of %s: Stripe did not tell how it stands (%s)", charge.id, type(error).__name__)
    return see(order_url(charge.order_ref, refund=charge.id))


def charge_called(rt: Runtime, charge_ref: str) -> Charge | None:
    """The charge of this account; a key of another shape is not even looked for."""
    if not charge_ref.isascii() or not charge_ref.isalnum():
        return None
    with rt.db.read() as connection:
        charge = charges.find(connection, charge_ref)
    return charge if charge is not None and charge.account == rt.account else None


def _confirm(app: AppState, charge: Charge, *, stale: bool = False) -> Response:
    refundable = charge.status is ChargeStatus.SUCCEEDED and not charge.quarantine_reason
    return page(
        "refund.html",
        here=HERE,
        status=403 if stale else 200,
        charge=charge,
        left=reporting.left_of(app.runtime, charge),
        stale=stale,
        refundable=refundable and app.runtime.gateway is not None,
        stands=words.QUARANTINE if charge.quarantine_reason else words.CHARGES[charge.status][0],
        back_url=order_url(charge.order_ref),
    )


def no_such_charge() -> Response:
    """Whoever typed the address."""
    return message(404, "There is no such charge", "Nothing was changed. Look for its order.")
