"""What every page of the dashboard stands in: the guard, the policy, the seal of its forms, navigation and messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache, wraps
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode

from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal, format_percent, get_currency_name
from flask import Response, g, redirect, request, url_for
from jinja2 import Environment, PackageLoader, StrictUndefined
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Response as AnyResponse

import encore_static
from flask_encore.domain.funnel import MIN_TRIALS, Rate, Step
from flask_encore.domain.money import Money
from flask_encore.domain.rights import EVERY_RIGHT, Actor, Right
from flask_encore.services import switching
from flask_encore.services.runtime import logger
from flask_encore.services.switching import Switches
from flask_encore.store.database import StoreError
from flask_encore.web import dashboard_words as words
from flask_encore.web import policies
from flask_encore.web.current import state
from flask_encore.web.origins import FormSeal, is_own_page
from flask_encore.web.phrases import phrases_for

NAME = "encore_dashboard"

#: Everything a page needs is in it or is ours; nothing else loads, nothing frames it, no base or form leads away.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

#: As wide as ``encore_refunds.actor`` and ``encore_audit.actor``.
LONGEST_ACTOR = 200

#: What a guard that answers just True is called.
NAMELESS_ACTOR = "merchant"

#: A form larger than this is no form of ours, bytes: a campaign with a full rule and every locale is a tenth of it.
LARGEST_FORM = 1_000_000

#: Right -> what who lacks it is told.
WHAT_IT_ALLOWS = {
    Right.READ: "see the dashboard",
    Right.EDIT: "change anything here",
    Right.REFUND: "refund charges",
}
ASK_FOR_IT = "The shop’s admin_guard says who may; nothing was changed."

#: Interval drawings end at the first of these shares that holds the interval.
SCALES = (0.1, 0.25, 0.5, 1.0)

#: Arguments of an address that say which part of a list is on screen, or which file is asked for; no filter.
ONLY_OF_A_PAGE = frozenset({"after", "before", "page", "download", "table", "bom"})

#: Endpoint of a page in the navigation -> its name there, in the order of a merchant's day. Pages below one carry its
#: name in ``here``.
ROOMS = {
    "overview": "Today",
    "orders": "Orders",
    "campaigns": "Campaigns",
    "experiments": "Experiments",
    "recommender": "Recommender",
    "customers": "Customers",
    "health": "Health",
    "settings": "Settings",
}

_say = phrases_for("en")

View = Callable[..., Response]


def on_database(view: View) -> View:
    """A database that is away or not migrated is a page that says so."""

    @wraps(view)
    def answer(**arguments: Any) -> Response:
        try:
            return view(**arguments)
        except StoreError:
            logger.exception("the dashboard could not read or write Encore's tables")
            return message(
                503,
                "Encore’s tables cannot be reached",
                "Nothing was changed by this page. If Encore was just installed or updated, run "
                "“flask encore db upgrade”; the log has the details.",
            )

    return answer


def changes_something(refusal: str) -> Callable[[View], View]:
    """For what takes a POST: only from a page of this host, and only a form that is no larger than ours are.

    Args:
        refusal: The title of the page that says no, such as ``Nothing was refunded``.
    """

    def wrap(view: View) -> View:
        @wraps(view)
        def answer(**arguments: Any) -> Response:
            if not is_own_page():
                return message(403, refusal, "This request did not come from the dashboard. Open it and try again.")
            try:
                if (request.content_length or 0) > LARGEST_FORM:
                    raise RequestEntityTooLarge
                request.form  # noqa: B018 - reading it is what finds it too large
            except RequestEntityTooLarge:
                return message(413, refusal, "What was sent is larger than any form of the dashboard.")
            return view(**arguments)

        return answer

    return wrap


def guard() -> AnyResponse | None:
    """Let in whom the host lets in, and remember by which name. Assets are nobody's secret."""
    if request.endpoint == f"{NAME}.static":
        return None
    asked = state().admin_guard
    if asked is None:
        return message(
            403,
            "The dashboard is closed",
            "Nobody can see it until the shop says who may: pass a function as "
            "“encore.init_app(app, admin_guard=…)” that answers the merchant’s name, or None for everybody else.",
        )
    answer = asked()
    if isinstance(answer, AnyResponse):
        g.encore_answered_by_guard = True
        return answer
    if not answer:
        return message(403, "This page is for the merchant", "You are not signed in as one.")
    who = answer if isinstance(answer, Actor) else Actor(NAMELESS_ACTOR if answer is True else str(answer), EVERY_RIGHT)
    g.encore_actor, g.encore_rights = _readable(who.name), who.rights
    return None


def needs(right: Right) -> Callable[[View], View]:
    """Who may use a page of the dashboard. Every view has one of these, outermost."""
    return policies.needs(right, _lacks)


def may(right: Right) -> bool:
    """Whether the present actor may; nobody may anything."""
    return right in g.get("encore_rights", ())


def _lacks(right: Right) -> Response:
    return message(403, "This is not yours to do", f"{g.encore_actor} may not {WHAT_IT_ALLOWS[right]}. {ASK_FOR_IT}")


def _readable(name: str) -> str:
    """An actor's name as the log of refunds and changes takes it."""
    printable = "".join(letter if letter.isprintable() else " " for letter in name)
    return printable.strip()[:LONGEST_ACTOR] or NAMELESS_ACTOR


def headers(response: Response) -> Response:
    """For our own answers only; what the guard sent is the host's."""
    if g.get("encore_answered_by_guard"):
        return response
    if request.endpoint != f"{NAME}.static":
        response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    # Not no-referrer: older browsers then send "Origin: null" with the form.
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def seal() -> str:
    """The hidden field of a form on a page the present actor sees."""
    return _seal().issue(g.encore_actor)


def is_sealed() -> bool:
    """Whether the form that was sent is one of ours, of this actor, and lately made."""
    return _seal().fits(request.form.get("seal", ""), g.encore_actor)


def _seal() -> FormSeal:
    rt = state().runtime
    return FormSeal(rt.settings.secret_keys, account=rt.account, clock=rt.clock)


def message(status: int, title: str, sentence: str) -> Response:
    """A page of one sentence."""
    return page("message.html", status=status, title=title, sentence=sentence)


def ask(
    question: str,
    what: str,
    button: str,
    *,
    stale: bool,
    danger: bool,
    version: int | None = None,
    here: str = "campaigns",
    back_url: str = "",
) -> Response:
    """A page with a question; its form goes where the page is, by POST.

    Args:
        here: The room it belongs to.
        back_url: Where who cancels goes; the room when not said.
    """
    return page(
        "question.html",
        status=403 if stale else 200,
        here=here,
        question=question,
        what=what,
        button=button,
        danger=danger,
        stale=stale,
        version=version,
        back_url=back_url or url(here),
    )


def see(url: str) -> Response:
    """After a change: the page that tells how it stands, fetched anew."""
    return redirect(url, code=303)  # type: ignore[return-value]


def url(view: str, **arguments: Any) -> str:
    """The address of one of the dashboard's own pages; what is ``None`` is left out."""
    return url_for(f"{NAME}.{view}", **arguments)


def download_url(table: str, format: str, *, bom: bool = False) -> str:
    """The present page's address, asking for one of its tables as a file (`web.downloads`): the same filter, whole."""
    kept = [pair for pair in request.args.items(multi=True) if pair[0] not in ONLY_OF_A_PAGE]
    asked = [*kept, ("download", format), ("table", table), *([("bom", "1")] if bom else [])]
    return f"{request.script_root}{quote(request.path)}?{urlencode(asked, errors='replace')}"


def page(template: str, *, status: int = 200, here: str = "", **values: Any) -> Response:
    """A whole page.

    Args:
        here: The room it belongs to, of `ROOMS`.
    """
    settings = state().runtime.settings
    actor = g.get("encore_actor", "")
    html = (
        environment()
        .get_template(f"encore/dashboard/{template}")
        .render(
            {
                "actor": actor,
                "may": lambda right: may(Right(right)),
                "home_url": url("overview"),
                "css_url": asset_url("dashboard.css"),
                "js_url": asset_url("dashboard.js"),
                "settings": settings,
                "when": lambda moment: _when(moment, settings.zone),
                "day": lambda moment: format_datetime(moment, "d MMM y", tzinfo=settings.zone, locale="en"),
                "url": url,
                "rooms": ROOMS if may(Right.READ) else {},
                "here": here,
                "switches": _switches() if actor else None,
                "seal": seal() if actor else "",
            }
            | values
        )
    )
    return Response(html, status=status, mimetype="text/html")


def _switches() -> Switches | None:
    """How the switches stand, for the banner; ``None`` where that cannot be told: the page itself says why then."""
    try:
        return switching.switches(state().runtime)
    except StoreError:
        return None


def _when(moment: datetime, zone: Any) -> str:
    return str(format_datetime(moment, "d MMM y, HH:mm", tzinfo=zone, locale="en"))


def asset_url(name: str) -> str:
    """The address of an asset, new whenever its content is."""
    return url("static", filename=name, v=_fingerprint(name))


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
def environment() -> Environment:
    """Where the dashboard's templates are made."""
    made = Environment(
        loader=PackageLoader("flask_encore"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {
        "words": words,
        "steps": list(Step),
        "rate_of": Rate,
        "min_trials": MIN_TRIALS,
        "ruler": _ruler,
        "download_url": download_url,
    }
    made.filters |= {
        "money": _say.money,
        "minor": lambda minor_units, currency: _say.money(Money(minor_units, currency)),
        "count": lambda number: format_decimal(number, locale="en"),
        "percent": _percent,
        "capitalize_first": lambda sentence: sentence[:1].upper() + sentence[1:],
        "signed": lambda amount: f"+{_say.money(amount)}" if amount.minor_units > 0 else _say.money(amount),
        "less": lambda amount: _say.money(Money(-amount.minor_units, amount.currency)),
        "basis_points": lambda share: format_percent(share / 10_000, "0.##%", locale="en"),
        "date": lambda day: format_date(day, "d MMM y", locale="en"),
        "month": lambda day: format_date(day, "MMMM y", locale="en"),
        # Of a probability nobody needs more than whether it is small.
        "p_value": lambda p: "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}",
        "share_of": lambda part, whole: f"{100 * part / whole:.2f}%" if whole else "0%",
        "currency_name": lambda code: get_currency_name(code.upper(), locale="en"),
    }
    return made
