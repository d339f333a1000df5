"""Put the offer into the host's own thank-you page, and never be the reason that page fails (invariant I9)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from flask import Flask, Response, g, request
from markupsafe import Markup

from flask_encore.services.offering import offer_for
from flask_encore.services.runtime import logger
from flask_encore.web.card import render_section
from flask_encore.web.current import state
from flask_encore.web.offer import card_of
from flask_encore.web.tokens import Ticket

P = ParamSpec("P")
R = TypeVar("R")

_PLACE = re.compile(r"<div\b[^>]*\sdata-encore(?=[\s>=])[^>]*>", re.IGNORECASE)
_MAIN_END = re.compile(r"</main\s*>", re.IGNORECASE)
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)

#: Set on ``g`` by the decorator: the page's order. Set by the global: the offer is on the page already.
_ORDER, _PLACED = "_encore_order_ref", "_encore_placed"


def section(order_ref: str) -> Markup:
    """The offer section of *order_ref*, empty when there is none or when anything at all goes wrong."""
    app = state()
    try:
        offered = offer_for(app.runtime, order_ref)
        if offered is None:
            return Markup("")
        path = request.script_root + request.full_path.rstrip("?")
        ticket = Ticket(offer_id=offered.decision["id"], account=app.runtime.account, path=path)
        return render_section(card_of(app, offered, ticket))
    except Exception as error:
        # Whatever it is - a locked database, a broken template, a bug of ours - it costs the offer, not the page.
        app.runtime.counts.add(f"page_{type(error).__name__}")
        logger.exception("no offer on the page of order %s", order_ref)
        return Markup("")


def encore_offer(order_ref: object) -> Markup:
    """Template global: the offer section of *order_ref*, right here."""
    setattr(g, _PLACED, True)
    return section(str(order_ref))


def thank_you(*, order_ref: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator of a thank-you view: its argument *order_ref* holds the order's key."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
            found = kwargs.get(order_ref, (request.view_args or {}).get(order_ref))
            if found is not None:
                setattr(g, _ORDER, str(found))
            return view(*args, **kwargs)

        return wrapped

    return decorate


def inject(response: Response) -> Response:
    """``after_request`` of the host: put the offer where it belongs, on pages that have one."""
    if getattr(g, _PLACED, False):
        response.headers["Cache-Control"] = "no-store"
        return response
    order_ref = _order_of_page()
    if order_ref is None or not _is_touchable(response):
        return response
    page = response.get_data(as_text=True)
    at = _place(page)
    if at is None:
        return response
    # As plain text: Markup would escape the host's page when it is joined to it.
    html = str(section(order_ref))
    if html:
        response.set_data(page[:at] + html + page[at:])
        if "ETag" in response.headers:
            response.add_etag(overwrite=True)
        response.headers.pop("Last-Modified", None)
    response.headers["Cache-Control"] = "no-store"
    return response


def install(app: Flask) -> None:
    """Hook the template global and the response into *app*."""
    app.add_template_global(encore_offer)
    app.after_request(inject)


def _order_of_page() -> str | None:
    found: Any = getattr(g, _ORDER, None)
    if found is not None:
        return str(found)
    argument = state().runtime.settings.thank_you.get(request.endpoint or "")
    found = (request.view_args or {}).get(argument) if argument else None
    return None if found is None else str(found)


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


def _place(page: str) -> int | None:
    """Where in *page* the section goes: into ``<div data-encore>``, else to the end of main, else of body."""
    marked = _PLACE.search(page)
    if marked:
        return marked.end()
    for end in (_MAIN_END, _BODY_END):
        places = [match.start() for match in end.finditer(page)]
        if places:
            return places[-1]
    return None
