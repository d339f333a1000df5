"""Put the offer into the host's own thank-you page, and never be the reason that page fails (invariant I9)."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast
from urllib.parse import quote

from flask import Flask, Response, current_app, has_request_context, request, request_started
from markupsafe import Markup

from flask_encore.services.offering import offer_for
from flask_encore.services.runtime import logger
from flask_encore.web.card import render_section
from flask_encore.web.current import state
from flask_encore.web.offer import card_of
from flask_encore.web.tokens import Ticket

P = ParamSpec("P")
R = TypeVar("R")

#: What only looks like a place: comments, and elements whose content is not part of the page.
_HIDDEN = re.compile(rb"<!--.*?-->|<(script|style|template|textarea)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_ATTRIBUTES = rb"""(?:[^>"']|"[^"]*"|'[^']*')*?"""
_PLACE = re.compile(rb"<div\b" + _ATTRIBUTES + rb"\sdata-encore(?=[\s=/>])" + _ATTRIBUTES + rb">", re.IGNORECASE)
_MAIN_END = re.compile(rb"</main\s*>", re.IGNORECASE)
_BODY_END = re.compile(rb"</body\s*>", re.IGNORECASE)

#: Kept with the request and not on ``g``: an app context around several requests gives them one ``g``.
#: Set by the decorator: the page's order.
_ORDER = "flask_encore.order_ref"
#: Set by the template global: whether there is an offer where it was called; nothing is injected a second time.
_PLACED = "flask_encore.placed"

#: Characters that may stand in a path, and in a query, as they are (RFC 3986).
_PATH_SAFE = "/:@!$&'()*+,;=~"
_QUERY_SAFE = _PATH_SAFE + "?%[]"


def section(order_ref: str) -> Markup:
    """The offer section of *order_ref*, empty when there is none or when anything at all goes wrong."""
    app = state()
    rt = app.runtime
    try:
        offered = rt.deciding.run(lambda: offer_for(rt, order_ref), seconds=rt.budget_seconds)
        if offered is None:
            return Markup("")
        ticket = Ticket(offer_id=offered.decision["id"], account=rt.account, path=_way_back())
        return render_section(card_of(app, offered, ticket), catalogues=app.catalogues)
    except Exception as error:
        # Whatever it is - a locked database, a broken template, a bug of ours - it costs the offer, not the page.
        rt.counts.add(f"page_{type(error).__name__}")
        logger.exception("no offer on the page of order %s", order_ref)
        return Markup("")


def encore_offer(order_ref: object) -> Markup:
    """Template global: the offer section of *order_ref*, right here; once a page.

    Empty where there is no page, as in a mail.
    """
    if not has_request_context() or request.environ.get(_PLACED):
        return Markup("")
    html = section(str(order_ref))
    request.environ[_PLACED] = request.environ.get(_PLACED, False) or bool(html)
    return html


def thank_you(*, order_ref: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator of a thank-you view: its argument *order_ref* holds the order's key."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
            request.environ[_ORDER] = kwargs.get(order_ref, (request.view_args or {}).get(order_ref))
            return cast(R, current_app.ensure_sync(view)(*args, **kwargs))

        return wrapped

    return decorate


def inject(response: Response) -> Response:
    """``after_request`` of the host: put the offer where it belongs, on pages that have one."""
    if _PLACED in request.environ:
        if request.environ[_PLACED]:
            response.headers["Cache-Control"] = "no-store"
        return response
    order_ref = _order_of_page()
    if order_ref is None:
        return response
    if not _is_touchable(response):
        if request.method == "GET" and response.status_code == 200:
            state().runtime.counts.add("page_not_touchable")
        return response
    page = response.get_data()
    at = _place(page)
    html = section(order_ref) if at is not None else ""
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

    def come_first(_sender: Flask, **_: Any) -> None:
        # Flask calls the last hook first. Whoever compresses a page, or computes its ETag, has to see it with the
        # offer; and by the first request, and not before, all of them are there.
        with lock:
            if hooks[-1] is not inject:
                hooks[:] = [hook for hook in hooks if hook is not inject] + [inject]

    # A strong reference: the receiver lives as long as the app does.
    request_started.connect(come_first, app, weak=False)


def _order_of_page() -> str | None:
    """The order the page is about; ``None`` when it is not a thank-you page, or does not say."""
    if _ORDER in request.environ:
        found: Any = request.environ[_ORDER]
    else:
        argument = state().runtime.settings.thank_you.get(request.endpoint or "")
        if argument is None:
            return None
        found = (request.view_args or {}).get(argument)
    if found is None:
        state().runtime.counts.add("page_without_order_ref")
        logger.warning("the thank-you page %s does not have the argument that holds its order", request.endpoint)
        return None
    return str(found)


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
    query = quote(request.query_string, safe=_QUERY_SAFE)
    return f"{path}?{query}" if query else path
