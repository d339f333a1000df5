"""The orders' room: every decision newest first, what needs somebody, one order when it is searched for."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from flask_encore.domain.campaigns import BUILT_IN
from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.offers import Outcome, Reason
from flask_encore.domain.rights import Right
from flask_encore.services import campaigning, order_list
from flask_encore.services.order_list import What
from flask_encore.services.reporting import Period
from flask_encore.web import dashboard_words as words
from flask_encore.web import order_words, report_tables
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import LONGEST_ACTOR, may, needs, on_database, page, see, url
from flask_encore.web.downloads import offered

HERE = "orders"

#: The list's place on the page, and the value of ``only`` that leaves in it what needs somebody.
LIST = "decisions"
NEEDING_SOMEBODY = "needing-somebody"


def add_to(blueprint: Blueprint) -> None:
    """The list, with its search."""
    blueprint.get("/dashboard/orders/")(orders)


def order_url(order_ref: str, **more: Any) -> str:
    """The address of an order's page, whatever its ref; browsers and proxies rewrite dots and doubled slashes."""
    parts = order_ref.split("/")
    if all(part.strip(".") for part in parts):
        return url("order", order_ref=order_ref, **more)
    return url("order", ref=order_ref, **more)


@needs(Right.READ)
@on_database
def orders() -> Response:
    """Decisions of a period, narrowed as the address says; a search that finds its order leads to it."""
    app = state()
    typed = _searched()
    if typed:
        found = order_list.find(app.runtime, request.args["order_ref"])
        if found is not None:
            return see(order_url(found))
    notices: list[tuple[str, words.Tone]] = []
    period = _chosen(notices)
    what = _what(notices)
    cursor = request.args.get("after", "")
    after = order_list.place_of(cursor) if cursor else None
    if cursor and after is None:
        notices.append(("There is no such page of the list; this is the newest.", words.Tone.WAIT))
    campaigns = {BUILT_IN: "The built-in offer"} | {
        saved.campaign.ref: saved.campaign.name for saved in campaigning.listed(app.runtime)
    }
    campaign_ref = request.args.get("campaign") or None
    if campaign_ref is not None and campaign_ref not in campaigns:
        notices.append(("There is no such campaign; these are the decisions of all.", words.Tone.WAIT))
        campaign_ref = None
    needing = request.args.get("only") == NEEDING_SOMEBODY
    answer = offered(
        report_tables.decisions(
            order_list.every(
                app.runtime,
                since=period.begins(app.runtime),
                what=what,
                campaign_ref=campaign_ref,
                needing_somebody=needing,
            )
        )
    )
    if answer is not None:
        return answer
    listed = order_list.listed(
        app.runtime,
        since=period.begins(app.runtime),
        what=what,
        campaign_ref=campaign_ref,
        needing_somebody=needing,
        after=after,
    )
    chosen = {
        "period": period.value,
        "what": what,
        "campaign": campaign_ref,
        "only": NEEDING_SOMEBODY if needing else None,
    }
    return page(
        "orders.html",
        here=HERE,
        listed=listed,
        notices=notices,
        typed=typed,
        period=period,
        what=what,
        campaigns=campaigns,
        campaign_ref=campaign_ref,
        needing=needing,
        paged=after is not None,
        narrowed=what is not None or campaign_ref is not None,
        order_words=order_words,
        order_url=order_url,
        period_url=lambda one: url("orders", **chosen | {"period": one.value}),
        needing_url=url("orders", only=NEEDING_SOMEBODY),
        all_url=url("orders", period=period.value),
        newest_url=url("orders", **chosen),
        older_url=url("orders", **chosen, after=listed.older, _anchor=LIST),
        can_refund=lambda entry: may(Right.REFUND) and entry.refundable and app.runtime.gateway is not None,
        refund_url=lambda entry: url("confirm_refund", charge_ref=entry.id),
    )


def _searched() -> str:
    """What is looked for, as the page shows it again; empty when nothing is."""
    return request.args.get("order_ref", "").replace("\0", "").strip()[:LONGEST_ACTOR]


def _chosen(notices: list[tuple[str, words.Tone]]) -> Period:
    try:
        return Period(request.args.get("period", Period.MONTH))
    except ValueError:
        notices.append(("There is no such period; these are the last 30 days.", words.Tone.WAIT))
        return Period.MONTH


def _what(notices: list[tuple[str, words.Tone]]) -> What | None:
    """What the list is narrowed to. No word is in two of the three lists; a test holds them to it."""
    told = request.args.get("what", "")
    if not told:
        return None
    for kind in (Outcome, Reason, ChargeStatus):
        if told in list(kind):
            return kind(told)
    notices.append(("Nothing is called so; these are all decisions.", words.Tone.WAIT))
    return None
