"""The merchant's pages, behind the guard: what Encore earned, what became of each order, and the refund.

Every page is whole without JavaScript. The one thing that moves money is a form on a page of its own (`refund_page`),
sealed for the actor who sees it.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

import encore_static
from flask_encore.domain.rights import Right
from flask_encore.services import order_list, reporting
from flask_encore.services.order_list import Entry, place_of
from flask_encore.services.reporting import Period
from flask_encore.services.runtime import Runtime
from flask_encore.web import (
    campaign_editor,
    campaign_files,
    campaign_pages,
    customers_page,
    downloads,
    experiments_page,
    history_page,
    orders_page,
    pair_page,
    patterns_page,
    recommender_page,
    refund_page,
    report_tables,
    settings_page,
    switches_page,
    tokens_page,
    webhooks_page,
)
from flask_encore.web import dashboard_words as words
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import (
    LONGEST_ACTOR,
    NAME,
    guard,
    headers,
    needs,
    on_database,
    page,
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
    for room in (
        orders_page,
        refund_page,
        campaign_pages,
        campaign_editor,
        campaign_files,
        experiments_page,
        customers_page,
        history_page,
        switches_page,
        settings_page,
        tokens_page,
        webhooks_page,
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
    after = place_of(cursor) if cursor else None
    if cursor and after is None:
        notices.append(("There is no such page of the list; this is the newest.", words.Tone.WAIT))
    order_ref = _searched()
    needing = not order_ref and request.args.get("only") == NEEDING_SOMEBODY
    report = reporting.report(
        app.runtime, period=period, order_ref=order_ref or None, needing_somebody=needing, after=after
    )
    entries = order_list.every(app.runtime, since=report.since, order_ref=order_ref or None, needing_somebody=needing)
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
        order_url=orders_page.order_url,
        refund_url=lambda entry: url_for(f"{NAME}.confirm_refund", charge_ref=entry.id),
        can_refund=lambda entry: _can_refund(app.runtime, entry),
    )


def _can_refund(rt: Runtime, entry: Entry) -> bool:
    return entry.refundable and rt.gateway is not None


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
