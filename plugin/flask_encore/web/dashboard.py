"""The merchant's pages, behind the guard: what Encore earned, what became of each order, and the refund.

Every page is whole without JavaScript. The one thing that moves money is a form on a page of its own, sealed for the
actor who sees it, and it ends in `services.refunding.refund` like every other merchant's refund.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache, wraps
from hashlib import sha256
from typing import Any

from babel.dates import format_datetime
from babel.numbers import format_decimal, format_percent, get_currency_name
from flask import Blueprint, Response, g, redirect, request, url_for
from jinja2 import Environment, PackageLoader, StrictUndefined
from werkzeug.wrappers import Response as AnyResponse

import encore_static
from flask_encore.domain.charges import Charge, ChargeStatus
from flask_encore.domain.errors import GatewayError
from flask_encore.domain.funnel import MIN_TRIALS, Rate, Step
from flask_encore.domain.money import Money
from flask_encore.services import refunding, reporting
from flask_encore.services.reporting import Entry, Period
from flask_encore.services.runtime import Runtime, logger
from flask_encore.store import charges
from flask_encore.store.database import StoreError
from flask_encore.web import dashboard_words as words
from flask_encore.web.current import AppState, state
from flask_encore.web.origins import FormSeal, is_own_page
from flask_encore.web.phrases import phrases_for

NAME = "encore_dashboard"

#: Everything a page needs is in it or is ours; nothing else loads, nothing frames it, no base or form leads away.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

#: The list's place on the page, and the value of ``only`` that leaves in it what needs somebody.
LIST = "decisions"
NEEDING_SOMEBODY = "needing-somebody"

#: As wide as ``encore_refunds.actor``.
LONGEST_ACTOR = 200

#: What a guard that answers just True is called.
NAMELESS_ACTOR = "merchant"

#: Interval drawings end at the first of these shares that holds the interval.
SCALES = (0.1, 0.25, 0.5, 1.0)

_say = phrases_for("en")


def create_blueprint() -> Blueprint:
    """The routes under ``/encore/dashboard`` and the dashboard's two assets."""
    blueprint = Blueprint(NAME, __name__, static_folder=encore_static.DASHBOARD, static_url_path="/static/dashboard")
    blueprint.before_request(_guard)
    blueprint.after_request(_headers)
    blueprint.get("/dashboard/")(overview)
    blueprint.get("/dashboard/charges/<charge_ref>/refund")(confirm_refund)
    blueprint.post("/dashboard/charges/<charge_ref>/refund")(refund)
    return blueprint


def _on_database(view: Callable[..., Response]) -> Callable[..., Response]:
    """A database that is away or not migrated is a page that says so."""

    @wraps(view)
    def answer(**arguments: Any) -> Response:
        try:
            return view(**arguments)
        except StoreError:
            logger.exception("the dashboard could not read or write Encore's tables")
            return _message(
                503,
                "Encore’s tables cannot be reached",
                "Nothing was changed by this page. If Encore was just installed or updated, run "
                "“flask encore db upgrade”; the log has the details.",
            )

    return answer


@_on_database
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
    for entry in report.entries:
        if entry.id == request.args.get("refund") and entry.amount is not None:
            notices.insert(0, words.refund_told(entry, _say.money(entry.amount)))
    return _page(
        "overview.html",
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
        seal=_seal(app).issue(g.encore_actor),
    )


@_on_database
def confirm_refund(charge_ref: str) -> Response:
    """Ask once more, with the amount, before money moves. Changes nothing."""
    app = state()
    charge = _charge(app.runtime, charge_ref)
    return _no_such_charge() if charge is None else _confirm(app, charge)


@_on_database
def refund(charge_ref: str) -> Response:
    """Refund what is left of a charge. The second click finds the first one's refund and changes nothing."""
    app = state()
    rt = app.runtime
    if not is_own_page():
        return _message(
            403, "Nothing was refunded", "This request did not come from the dashboard. Open it and try again."
        )
    charge = _charge(rt, charge_ref)
    if charge is None:
        return _no_such_charge()
    if not _seal(app).fits(request.form.get("seal", ""), g.encore_actor):
        return _confirm(app, charge, stale=True)
    if rt.gateway is None:
        return _message(
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
    return redirect(url, code=303)  # type: ignore[return-value]


def _guard() -> AnyResponse | None:
    """Let in whom the host lets in, and remember by which name. Assets are nobody's secret."""
    if request.endpoint == f"{NAME}.static":
        return None
    guard = state().admin_guard
    if guard is None:
        return _message(
            403,
            "The dashboard is closed",
            "Nobody can see it until the shop says who may: pass a function as "
            "“encore.init_app(app, admin_guard=…)” that answers the merchant’s name, or None for everybody else.",
        )
    answer = guard()
    if isinstance(answer, AnyResponse):
        g.encore_answered_by_guard = True
        return answer
    if not answer:
        return _message(403, "This page is for the merchant", "You are not signed in as one.")
    g.encore_actor = NAMELESS_ACTOR if answer is True else str(answer)[:LONGEST_ACTOR]
    return None


def _headers(response: Response) -> Response:
    """For our own answers only; what the guard sent is the host's."""
    if g.get("encore_answered_by_guard"):
        return response
    if request.endpoint != f"{NAME}.static":
        response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    # Not no-referrer: older browsers then send "Origin: null" with the refund.
    response.headers["Referrer-Policy"] = "same-origin"
    return response


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
    return _page(
        "refund.html",
        status=403 if stale else 200,
        charge=charge,
        left=reporting.left_of(app.runtime, charge),
        stale=stale,
        refundable=refundable and app.runtime.gateway is not None,
        stands=words.QUARANTINE if charge.quarantine_reason else words.CHARGES[charge.status][0],
        seal=_seal(app).issue(g.encore_actor),
        back_url=_overview_url(period=_period() or Period.MONTH, order_ref=charge.order_ref),
    )


def _no_such_charge() -> Response:
    return _message(404, "There is no such charge", "Nothing was changed. Look for the order on the dashboard.")


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


def _seal(app: AppState) -> FormSeal:
    rt = app.runtime
    return FormSeal(rt.settings.secret_keys, account=rt.account, clock=rt.clock)


def _message(status: int, title: str, sentence: str) -> Response:
    return _page("message.html", status=status, title=title, sentence=sentence)


def _page(template: str, *, status: int = 200, **values: Any) -> Response:
    settings = state().runtime.settings
    html = (
        _environment()
        .get_template(f"encore/dashboard/{template}")
        .render(
            actor=g.get("encore_actor", ""),
            home_url=url_for(f"{NAME}.overview"),
            css_url=_asset_url("dashboard.css"),
            js_url=_asset_url("dashboard.js"),
            settings=settings,
            when=lambda moment: _when(moment, settings.zone),
            day=lambda moment: format_datetime(moment, "d MMM y", tzinfo=settings.zone, locale="en"),
            **values,
        )
    )
    return Response(html, status=status, mimetype="text/html")


def _when(moment: datetime, zone: Any) -> str:
    return str(format_datetime(moment, "d MMM y, HH:mm", tzinfo=zone, locale="en"))


def _asset_url(name: str) -> str:
    """The address of an asset, new whenever its content is."""
    return url_for(f"{NAME}.static", filename=name, v=_fingerprint(name))


@cache
def _fingerprint(name: str) -> str:
    return sha256((encore_static.DASHBOARD / name).read_bytes()).hexdigest()[:12]


def _percent(share: float) -> str:
    return str(format_percent(share, "0.0%", locale="en"))


def _ruler(rate: Rate) -> dict[str, str] | None:
    """Where the interval and its rate lie on a line from 0 to a round share, as SVG percentages."""
    interval, share = rate.interval, rate.share
    if interval is None or share is None:
        return None
    end = next(scale for scale in SCALES if interval.high <= scale)
    return {
        "x": f"{100 * interval.low / end:.2f}%",
        "width": f"{100 * (interval.high - interval.low) / end:.2f}%",
        "at": f"{100 * share / end:.2f}%",
        "end": f"{end:.0%}",
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("flask_encore"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "words": words,
        "steps": list(Step),
        "rate_of": Rate,
        "min_trials": MIN_TRIALS,
        "ruler": _ruler,
    }
    environment.filters |= {
        "money": _say.money,
        "minor": lambda minor_units, currency: _say.money(Money(minor_units, currency)),
        "count": lambda number: format_decimal(number, locale="en"),
        "percent": _percent,
        "share_of": lambda part, whole: f"{100 * part / whole:.2f}%" if whole else "0%",
        "currency_name": lambda code: get_currency_name(code.upper(), locale="en"),
    }
    return environment
