"""Put the offers into the host's own pages, and never be the reason one of them fails (invariant I9)."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import ParamSpec, TypeVar, cast
from urllib.parse import quote

from flask import Flask, Response, current_app, has_request_context, request, request_started
from markupsafe import Markup

from flask_encore.domain.offers import Placement
from flask_encore.services.offering import Offered, sequence_for
from flask_encore.services.runtime import logger
from flask_encore.web.contexts import CardState, Notice, OfferCard
from flask_encore.web.current import AppState, state
from flask_encore.web.drawing import Asked, card_of, section_of
from flask_encore.web.tokens import Ticket, asked_in, without_asking

P = ParamSpec("P")
R = TypeVar("R")

#: What only looks like a place: comments, and elements whose content is not part of the page.
_HIDDEN = re.compile(rb"<!--.*?-->|<(script|style|template|textarea)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_ATTRIBUTES = rb"""(?:[^>"']|"[^"]*"|'[^']*')*?"""
_PLACE = re.compile(rb"<div\b" + _ATTRIBUTES + rb"\sdata-encore(?=[\s=/>])" + _ATTRIBUTES + rb">", re.IGNORECASE)
_MAIN_END = re.compile(rb"</main\s*>", re.IGNORECASE)
_BODY_END = re.compile(rb"</body\s*>", re.IGNORECASE)

#: Kept with the request and not on ``g``: an app context around several requests gives them one ``g``.
#: Set by the decorators: the page's order, and which page it is.
_ORDER, _PAGE = "flask_encore.order_ref", "flask_encore.page"
#: Set by the template global: whether there is an offer where it was called; nothing is injected a second time.
_PLACED = "flask_encore.placed"

#: Characters that may stand in a path, and in a query, as they are (RFC 3986).
_PATH_SAFE = "/:@!$&'()*+,;=~"
_QUERY_SAFE = _PATH_SAFE + "?%[]"


def section(order_ref: str, *, page: str = Placement.THANK_YOU) -> Markup:
    """The sections of *order_ref*'s offers, empty when there are none or when anything at all goes wrong."""
    app = state()
    rt = app.runtime
    try:
        surface = Placement(page).surface
        offers = rt.deciding.run(lambda: sequence_for(rt, order_ref, page=surface), seconds=rt.budget_seconds)
        cards = cards_of(app, offers, path=_way_back(), args=request.args)
        return Markup("\n").join(section_of(app, card) for card in cards)
    except Exception as error:
        # Whatever it is - a locked database, a broken template, a bug of ours - it costs the offer, not the page.
        rt.counts.add(f"page_{type(error).__name__}")
        logger.exception("no offer on the page of order %s", order_ref)
        return Markup("")


def cards_of(app: AppState, offers: Sequence[Offered], *, path: str, args: Mapping[str, str]) -> list[OfferCard]:
    """The offers' cards, oldest first. One that was declined makes room for what came after it.

    Args:
        path: Of the page they stand on.
        args: The query of that page, where choices and notices are asked for.
    """
    cards = list[OfferCard]()
    for number, offered in enumerate(offers, 1):
        place = len(cards) + 1
        choice, notice = asked_in(args, place=place)
        ticket = Ticket(offer_id=offered.decision["id"], account=app.runtime.account, path=path, place=place)
        card = card_of(app, offered, ticket, asked=Asked(choice=choice, notice=_notice(notice)))
        if card.state is not CardState.DECLINED or number == len(offers):
            cards.append(card)
    return cards


def _notice(told: str) -> Notice:
    try:
        return Notice(told)
    except ValueError:
        return Notice.NONE


def encore_offer(order_ref: object, placement: str = Placement.THANK_YOU) -> Markup:
    """Template global: the offers of *order_ref*, right here; once a page.

    Empty where there is no page, as in a mail. *placement* is ``thank_you``, or ``order_status`` on a page where orders
    are looked up later.
    """
    if not has_request_context() or request.environ.get(_PLACED):
        return Markup("")
    html = section(str(order_ref), page=placement)
    request.environ[_PLACED] = request.environ.get(_PLACED, False) or bool(html)
    return html


def thank_you(*, order_ref: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator of a thank-you view: its argument *order_ref* holds the order's key."""
    return _names_order(order_ref, Placement.THANK_YOU)


def order_status(*, order_ref: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator of the view of an order page: its argument *order_ref* holds the order's key."""
    return _names_order(order_ref, Placement.ORDER_STATUS)


def _names_order(order_ref: str, page: Placement) -> Callable[[Callable[P, R]], Callable[P, R]]:
    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
            request.environ[_ORDER] = kwargs.get(order_ref, (request.view_args or {}).get(order_ref))
            request.environ[_PAGE] = page
            return cast(R, current_app.ensure_sync(view)(*args, **kwargs))

        return wrapped

    return decorate


def inject(response: Response) -> Response:
    """``after_request`` of the host: put the offer where it belongs, on pages that have one."""
    if _PLACED in request.environ:
        if request.environ[_PLACED]:
            response.headers["Cache-Control"] = "no-store"
        return response
    found = _order_of_page()
    if found is None:
        return response
    order_ref, shown_on = found
    if not _is_touchable(response):
        if request.method == "GET" and response.status_code == 200:
            state().runtime.counts.add("page_not_touchable")
        return response
    page = response.get_data()
    at = _place(page)
    html = section(order_ref, page=shown_on) if at is not None else ""
    if html:
        response.set_data(page[:at] + html.encode() + page[at:])
        if "ETag" in response.headers:
            response.add_etag(overwrite=True)
        response.headers.pop("Last-Modified", None)
        response.headers["Cache-Control"] = "no-store"
    return response


def install(app: Flask) -> None:
    """Hook the template global and the response into *app*."""
    app.add_template_global(encore_offer)
    app.after_request(inject)
    lock, hooks = threading.Lock(), app.after_request_funcs[None]

    def come_first(_sender: Flask, **_: object) -> None:
        # Flask calls the last hook first. Whoever compresses a page, or computes its ETag, has to see it with the
        # offer; and by the first request, and not before, all of them are there.
        with lock:
            if hooks[-1] is not inject:
                hooks[:] = [hook for hook in hooks if hook is not inject] + [inject]

    # A strong reference: the receiver lives as long as the app does.
    request_started.connect(come_first, app, weak=False)


def _order_of_page() -> tuple[str, Placement] | None:
    """The order the page is about, and which page it is; ``None`` when it is none of ours, or does not say."""
    if _ORDER in request.environ:
        found, page = request.environ[_ORDER], request.environ[_PAGE]
    else:
        settings, endpoint = state().runtime.settings, request.endpoint or ""
        page = Placement.THANK_YOU if endpoint in settings.thank_you else Placement.ORDER_STATUS
        argument = settings.thank_you.get(endpoint) or settings.order_status.get(endpoint)
        if argument is None:
            return None
        found = (request.view_args or {}).get(argument)
    if found is None:
        state().runtime.counts.add("page_without_order_ref")
        what = page.replace("_", "-")
        logger.warning("the %s page %s does not have the argument that holds its order", what, request.endpoint)
        return None
    return str(found), page


def _is_touchable(response: Response) -> bool:
    """Only complete, uncompressed HTML that was asked for and found."""
    return (
        request.method == "GET"
        and response.status_code == 200
        and response.mimetype == "text/html"
        and response.mimetype_params.get("charset", "utf-8").lower() in {"utf-8", "utf8"}
        and "Content-Encoding" not in response.headers
        and not response.is_streamed
        and not response.direct_passthrough
    )


def _place(page: bytes) -> int | None:
    """Where in *page* the section goes: into ``<div data-encore>``, else to the end of main, else of body."""
    visible = _HIDDEN.sub(lambda hidden: b" " * len(hidden[0]), page)
    marked = _PLACE.search(visible)
    if marked:
        return marked.end()
    for end in (_MAIN_END, _BODY_END):
        places = [match.start() for match in end.finditer(visible)]
        if places:
            return places[-1]
    return None


def _way_back() -> str:
    """Path and query of this page as they have to stand in a ``Location``."""
    path = quote(request.script_root + request.path, safe=_PATH_SAFE)
    query = without_asking(quote(request.query_string, safe=_QUERY_SAFE))
    return f"{path}?{query}" if query else path
