"""A page of patterns: the smallest host page that holds the card, with a policy as strict as a host's can be.

`PatternShop` answers the card's requests with the states a test lines up, so that every state and every turn of the
custom element can be seen alone, without a database and without Stripe.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from flask import Flask, Response, redirect, request, send_from_directory
from offer_cards import offer_card
from playwright.sync_api import Page
from werkzeug.serving import WSGIRequestHandler, make_server
from whole_answers import whole

from encore_static import OFFER
from flask_encore.domain.money import Money
from flask_encore.web.card import render_fragment, render_section
from flask_encore.web.contexts import CardState, OfferCard

#: The fixture ``open_page``: options of a browser context in, a page of its own out.
OpenPage = Callable[..., Page]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types encore-offer"
)

HOST = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Thank you</title><link rel="stylesheet" href="/host.css"><link rel="icon" href="data:,"></head>
<body><main><h1>Thank you for your order</h1><p>We sent a confirmation to your inbox.</p>{section}
<h2>What happens next</h2><p id="below">We pack your order today.</p></main></body></html>"""

HOST_CSS = """
:root { color-scheme: light dark; font-family: system-ui, sans-serif; }
body { margin: 0; background: light-dark(#f6f7f9, #101217); color: light-dark(#1b1e26, #eceef2); line-height: 1.6; }
main { max-width: 46rem; margin: auto; padding: 1.5rem 1rem 4rem; }
h1 { letter-spacing: -.02em; line-height: 1.2; }
"""

#: What careless host stylesheets do to things they do not own.
HOSTILE_CSS = """
* { all: revert !important; letter-spacing: 4px !important; text-transform: uppercase !important; }
h2, button, dl { color: red !important; display: inline !important; }
encore-offer { font: italic 31px/3 serif; text-align: center; white-space: nowrap; }
"""

POT = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 96"><rect width="96" height="96" fill="#dfe6ee"/>
<path d="M34 30h26l4 44H30z" fill="#27406b"/>
<path d="M64 40c14-2 14 20 1 22" fill="none" stroke="#27406b" stroke-width="5"/>
<path d="M34 38 20 30l10 22" fill="#27406b"/><rect x="36" y="22" width="22" height="8" rx="3" fill="#1b2d4d"/>
<circle cx="47" cy="18" r="4" fill="#1b2d4d"/></svg>"""

#: Stands where Stripe.js stands; it records its calls and answers at once.
STRIPE_JS = """
window.stripeCalls = [];
window.Stripe = (key, options) => ({
  handleNextAction: async (o) => {
    stripeCalls.push(['handleNextAction', key, o.clientSecret, options.locale]);
    return {};
  },
  elements: (o) => ({ create: (kind) => ({ mount: (place) => {
    stripeCalls.push(['mount', kind, o.clientSecret, place.getRootNode() === document]);
    const field = document.createElement('input');
    field.setAttribute('aria-label', 'Card number');
    place.append(field);
  } }) }),
  confirmPayment: async (o) => { stripeCalls.push(['confirmPayment', o.redirect]); return window.stripeAnswer ?? {}; },
});
"""

LANGUAGES: dict[str, dict[str, Any]] = {
    "en": {},
    "de": {
        "locale": "de-DE",
        "title": "Emaille-Kaffeekanne, 1 Liter",
        "because_of_title": "Handkaffeemühle",
        "currency": "eur",
    },
    "ar": {
        "locale": "ar",
        "title": "إبريق قهوة مطلي بالمينا، لتر واحد",
        "because_of_title": "مطحنة قهوة يدوية",
        "currency": "aed",
    },
    "fr": {
        "locale": "fr-FR",
        "title": "Cafetière émaillée, 1 litre",
        "because_of_title": "Moulin à café manuel",
        "currency": "eur",
    },
    "es": {
        "locale": "es-ES",
        "title": "Cafetera esmaltada, 1 litro",
        "because_of_title": "Molinillo de café manual",
        "currency": "eur",
    },
}


def card_in(language: str, state: CardState, **changes: Any) -> OfferCard:
    """The coffee pot as a shopper of *language* sees it."""
    values = dict(LANGUAGES[language])
    currency = values.pop("currency", "gbp")
    amounts = {"item": 1290, "discount": 129, "shipping": 0, "total": 1161}
    money = {name: Money(amount, currency) for name, amount in amounts.items()}
    return offer_card(state, **(money | values | changes))


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: Any) -> None:
        """A test's output is for what failed."""


class PatternShop:
    """A host on 127.0.0.1.

    Attributes:
        card: What the page shows; an answered request changes it, as a database row would be.
        answers: Action -> states it will answer with, in order; when they run out the card stays as it is. A number
            is answered as that HTTP status, with a page that is no fragment; a card takes the place of the one there.
        following: What a fragment brings along: the offer that follows the answer.
        calls: Actions the browser asked for, in order.
        forms: The fields that came with them.
        css: Host stylesheet, added to the page's own.
        policy: Content Security Policy of the page.
        hold: Clear it to keep every answer to an action back; set it to let them go.
        style: The same for the card's stylesheet.
    """

    def __init__(self) -> None:
        self.card = offer_card()
        self.answers: dict[str, deque[CardState | OfferCard | int]] = defaultdict(deque)
        self.following: OfferCard | None = None
        self.calls: list[str] = []
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.css = ""
        self.policy = POLICY
        self.style = threading.Event()
        self.style.set()
        self.hold = threading.Event()
        self.hold.set()
        self._server = make_server("127.0.0.1", 0, whole(self._app()), threaded=True, request_handler=_Quiet)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving; held answers are let go."""
        self.hold.set()
        self.style.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reset(self, card: OfferCard) -> None:
        """Forget what happened and show *card*."""
        self.card, self.css, self.policy, self.following = card, "", POLICY, None
        self.answers.clear()
        self.calls.clear()
        self.forms.clear()
        self.hold.set()
        self.style.set()

    def _app(self) -> Flask:
        app = Flask("patterns")

        @app.get("/")
        def page() -> Response:
            response = Response(HOST.replace("{section}", render_section(self.card)))
            response.headers["Content-Security-Policy"] = self.policy
            return response

        @app.get("/host.css")
        def host_css() -> Response:
            return Response(HOST_CSS + self.css, mimetype="text/css")

        @app.get("/pot.svg")
        def pot() -> Response:
            return Response(POT, mimetype="image/svg+xml")

        @app.get("/stripe.js")
        def stripe_js() -> Response:
            self.calls.append("stripe.js")
            return Response(STRIPE_JS, mimetype="text/javascript")

        @app.get("/assets/<name>")
        def asset(name: str) -> Response:
            if name.endswith(".css"):
                self.style.wait(20)
            return send_from_directory(OFFER, name)

        @app.post("/encore/offers/t0k3n/<act>")
        def act(act: str) -> Any:
            self.calls.append(act)
            if request.form:
                self.forms.append((act, request.form.to_dict()))
            if act == "shown":
                return "", 204
            if act == "secret":
                return {"client_secret": "pi_1_secret_2", "publishable_key": "pk_test_x", "stripe_account": ""}
            self.hold.wait(20)
            if self.answers[act]:
                answer = self.answers[act].popleft()
                if isinstance(answer, int):
                    return "<!doctype html><title>Oops</title>", answer
                self.card = answer if isinstance(answer, OfferCard) else replace(self.card, state=answer)
            if request.headers.get("X-Encore-Fragment"):
                return "".join(
                    [render_fragment(self.card), *([render_section(self.following)] if self.following else [])]
                )
            return redirect("/", 303)

        return app


#: Cumulative layout shift as the Web Vitals count it: what moves within 500 ms of a click was asked for.
SHIFTS = """() => new Promise((resolve) => new PerformanceObserver((list) => resolve(
    list.getEntries().filter((entry) => !entry.hadRecentInput).reduce((sum, entry) => sum + entry.value, 0)
)).observe({ type: 'layout-shift', buffered: true }) || setTimeout(() => resolve(0), 300))"""

#: Relative luminance contrast of an element's text against the first opaque background behind it.
CONTRAST = """(element) => {
  const channels = (color) => {
    const canvas = new OffscreenCanvas(1, 1).getContext('2d');
    canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (color) => channels(color).slice(0, 3).map((value) => {
    const share = value / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }).reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  let behind = element;
  while (channels(getComputedStyle(behind).backgroundColor)[3] < 255) behind = behind.parentElement;
  const pair = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor].map(luminance).sort();
  return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
}"""


def accessibility_findings(page: Page) -> list[str]:
    """What axe holds against the page, one line for each element."""
    found = Axe().run(page).response["violations"]
    return [f"{item['id']}: {node['html'][:120]}" for item in found for node in item["nodes"]]


def visit(page: Page, shop: PatternShop, card: Any, *, css: str = "") -> None:
    """Show *card* on a fresh host page, with *css* added to the host's own stylesheet."""
    shop.reset(card)
    shop.css = css
    page.goto(shop.url)


def events(page: Page) -> None:
    """Collect the card's events in ``window.heard``, as [name, state]."""
    page.evaluate(
        "() => { window.heard = []; for (const name of ['accepted', 'charged', 'declined', 'undone'])"
        " document.addEventListener(`encore:${name}`, (event) => heard.push([name, event.detail.state])); }"
    )
