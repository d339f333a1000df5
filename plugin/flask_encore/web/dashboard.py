"""The merchant's pages, behind the guard: what Encore earned, what became of each order, and the refund.

Every page is whole without JavaScript. The one thing that moves money is a form on a page of its own, sealed for the
actor who sees it, and it ends in `services.refunding.refund` like every other merchant's refund.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, request, url_for

import encore_static
from flask_encore.domain.charges import Charge, ChargeStatus
from flask_encore.domain.errors import GatewayError
from flask_encore.domain.rights import Right
from flask_encore.services import refunding, reporting
from flask_encore.services.reporting import Entry, Period
from flask_encore.services.runtime import Runtime, logger
from flask_encore.store import charges
from flask_encore.web import (
    campaign_editor,
    campaign_files,
    campaign_pages,
    customers_page,
    downloads,
    history_page,
    pair_page,
    patterns_page,
    recommender_page,
    report_tables,
    switches_page,
)
from flask_encore.web import dashboard_words as words
from flask_encore.web.current import AppState, state
from flask_encore.web.dashboard_frame import (
    LONGEST_ACTOR,
    NAME,
    changes_something,
    guard,
    headers,
    is_sealed,
    message,
    needs,
    on_database,
    page,
    see,
)
from flask_encore.web.phrases import phrases_for

#: The list's place on the page, and the value of ``only`` that leaves in it what needs somebody.
LIST = "decisions"
NEEDING_SOMEBODY = "needing-somebody"

_say = phrases_for("en")


def create_blueprint() -> Blueprint:
    """The routes under ``/encore/dashboard`` and the dashboard's two assets."""
    blueprint = Blueprint(NAME, __name__, static_folder=encore_static.DASHBOARD, static_url_path="/static/dashboard")
    blueprint.before_request(guard)
    blueprint.after_request(headers)
    blueprint.get("/dashboard/")(overview)
    blueprint.get("/dashboard/charges/<charge_ref>/refund")(confirm_refund)
    blueprint.post("/dashboard/charges/<charge_ref>/refund")(refund)
    for room in (
        campaign_pages,
        campaign_editor,
        campaign_files,
        customers_page,
        history_page,
        switches_page,
        recommender_page,
        pair_page,
        patterns_page,
    ):
        room.add_to(blueprint)
    return blueprint


@needs(Right.READ)
@on_database
def overview() -> Response:
    """The page: figures of a period, the newest decisions, one order when it is searched for."""
    app = state()
    notices: list[tuple[str, words.Tone]] = []
    period = _period()
    if period is None:
        period = Period.MONTH
        notices.append(("There is no such period; these are the last 30 days.", words.Tone.WAIT))
    cursor = request.args.get("after", "")
    after = reporting.place_of(cursor) if cursor else None
    if cursor and after is None:
        notices.append(("There is no such page of the list; this is the newest.", words.Tone.WAIT))
    order_ref = _searched()
    needing = not order_ref and request.args.get("only") == NEEDING_SOMEBODY
    report = reporting.report(
        app.runtime, period=period, order_ref=order_ref or None, needing_somebody=needing, after=after
    )
    entries = reporting.entries(app.runtime, period=period, order_ref=order_ref or None, needing_somebody=needing)
    answer = downloads.offered(
        report_tables.funnels(report.funnels),
        report_tables.without_offer(report.without_offer),
        report_tables.decisions(entries),
    )
    if answer is not None:
        return answer
    for entry in report.entries:
        if entry.id == request.args.get("refund") and entry.amount is not None:
            notices.insert(0, words.refund_told(entry, _say.money(entry.amount)))
    return page(
        "overview.html",
        here="overview",
        report=report,
        notices=notices,
        order_ref=order_ref,
        paged=after is not None,
        period_url=lambda one: _overview_url(period=one, order_ref=order_ref),
        needing=needing,
        needing_url=_overview_url(period=period, only=NEEDING_SOMEBODY, _anchor=LIST),
        older_url=_overview_url(
            period=period,
            order_ref=order_ref,
            only=NEEDING_SOMEBODY if needing else None,
            after=report.older,
            _anchor=LIST,
        ),
        list_url=_overview_url(period=period, _anchor=LIST),
        refund_url=lambda entry: url_for(f"{NAME}.confirm_refund", charge_ref=entry.id, period=period.value),
        can_refund=lambda entry: _can_refund(app.runtime, entry),
    )


@needs(Right.REFUND)
@on_database
def confirm_refund(charge_ref: str) -> Response:
    """Ask once more, with the amount, before money moves. Changes nothing."""
    app = state()
    charge = _charge(app.runtime, charge_ref)
    return _no_such_charge() if charge is None else _confirm(app, charge)


@needs(Right.REFUND)
@on_database
@changes_something("Nothing was refunded")
def refund(charge_ref: str) -> Response:
    """Refund what is left of a charge. The second click finds the first one's refund and changes nothing."""
    app = state()
    rt = app.runtime
    charge = _charge(rt, charge_ref)
    if charge is None:
        return _no_such_charge()
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
    url = _overview_url(period=_period() or Period.MONTH, order_ref=charge.order_ref, refund=charge.id)
    return see(url)


def _charge(rt: Runtime, charge_ref: str) -> Charge | None:
    """The charge of this account; a key of another shape is not even looked for."""
    if not charge_ref.isascii() or not charge_ref.isalnum():
        return None
    with rt.db.read() as connection:
        charge = charges.find(connection, charge_ref)
    return charge if charge is not None and charge.account == rt.account else None


def _can_refund(rt: Runtime, entry: Entry) -> bool:
    return entry.refundable and rt.gateway is not None


def _confirm(app: AppState, charge: Charge, *, stale: bool = False) -> Response:
    refundable = charge.status is ChargeStatus.SUCCEEDED and not charge.quarantine_reason
    return page(
        "refund.html",
        here="overview",
        status=403 if stale else 200,
        charge=charge,
        left=reporting.left_of(app.runtime, charge),
        stale=stale,
        refundable=refundable and app.runtime.gateway is not None,
        stands=words.QUARANTINE if charge.quarantine_reason else words.CHARGES[charge.status][0],
        back_url=_overview_url(period=_period() or Period.MONTH, order_ref=charge.order_ref),
    )


def _no_such_charge() -> Response:
    return message(404, "There is no such charge", "Nothing was changed. Look for the order on the dashboard.")


def _period() -> Period | None:
    """The chosen period; ``None`` when there is no such one."""
    try:
        return Period(request.args.get("period", Period.MONTH))
    except ValueError:
        return None


def _searched() -> str:
    """The order_ref that is looked for, as people paste it; empty when none is."""
    typed = request.args.get("order_ref", "").replace("\0", "").strip()
    return typed[:LONGEST_ACTOR]


def _overview_url(*, period: Period, order_ref: str = "", **more: Any) -> str:
    """The overview's address; what is ``None`` is left out."""
    return url_for(f"{NAME}.overview", period=period.value, order_ref=order_ref or None, **more)
