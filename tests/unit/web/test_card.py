"""The card as HTML: every state in every language, without a browser."""

from __future__ import annotations

import gzip
import re
from dataclasses import fields, replace
from datetime import datetime
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import ChoiceLoader, DictLoader, Environment, PackageLoader
from markupsafe import Markup
from offer_cards import LONDON, URLS, offer_card

import flask_encore
from encore_static import OFFER
from flask_encore.domain.money import Money
from flask_encore.web import card as card_module
from flask_encore.web.card import BRANDS, card_name, render_fragment, render_section
from flask_encore.web.contexts import CardState, OfferCard
from flask_encore.web.phrases import CATALOGUES

EVERY_STATE_AND_LANGUAGE = [(state, language) for state in CardState for language in sorted(CATALOGUES)]

#: What can be posted from each state. A second order button in any of them would be a second charge.
ACTIONS = {
    CardState.OPEN: ["accept", "decline"],
    CardState.CHARGING: ["refresh"],
    CardState.ACTION_REQUIRED: ["leave"],
    CardState.FAILED: ["leave"],
    CardState.UNKNOWN: ["refresh"],
    CardState.CHARGED: ["undo"],
    CardState.UNDOING: ["refresh"],
    CardState.UNDONE: [],
    CardState.DECLINED: [],
    CardState.EXPIRED: [],
    CardState.SOLD_OUT: [],
    CardState.CANCELED: [],
}


class _Elements(HTMLParser):
    """Start tags with their attributes; checks that what was opened is closed in order."""

    VOID = frozenset({"img", "link", "rect", "circle", "path", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag


def elements(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Elements()
    parser.feed(html)
    parser.close()
    assert parser.stack == []
    return parser.found


def text(html: str) -> str:
    """What is read: no markup, no inert templates, single spaces."""
    shown = re.sub(r"<template data-view.*?</template>", "", html, flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", shown)).split())


@pytest.mark.parametrize(("state", "language"), EVERY_STATE_AND_LANGUAGE)
def test_every_state_in_every_language_is_well_formed_and_needs_no_inline_script_or_style(
    state: CardState, language: str
) -> None:
    for tag, attributes in elements(render_section(offer_card(state, locale=language))):
        assert tag != "style"
        assert tag != "script" or attributes == {"type": "module", "src": "/assets/offer.js"}
        assert not [name for name in attributes if name == "style" or name.startswith("on")]


@pytest.mark.parametrize("state", CardState)
def test_the_section_holds_the_fragment_so_a_reload_shows_what_the_element_was_told(state: CardState) -> None:
    card = offer_card(state)
    assert render_fragment(card) in render_section(card)


@pytest.mark.parametrize("state", CardState)
def test_each_state_posts_only_what_it_may(state: CardState) -> None:
    html = re.sub(r"<template data-view.*?</template>", "", render_fragment(offer_card(state)), flags=re.S)
    forms = [attributes for tag, attributes in elements(html) if tag == "form" and "action" in attributes]
    assert [form["data-act"] for form in forms] == ACTIONS[state]
    assert [form["action"] for form in forms] == [getattr(URLS, act) for act in ACTIONS[state]]
    assert {form["method"] for form in forms} <= {"post"}


@pytest.mark.parametrize("state", CardState)
def test_only_waiting_states_are_asked_about_again(state: CardState) -> None:
    view = elements(render_fragment(offer_card(state)))[0][1]
    waits = state in {CardState.CHARGING, CardState.UNKNOWN, CardState.UNDOING}
    assert view["data-state"] == state
    assert ("data-waiting" in view) is waits


def test_the_open_offer_states_price_discount_shipping_total_card_and_why() -> None:
    assert text(render_fragment(offer_card())) == (
        "Order #1042 is confirmed and paid One more thing? Enamel coffee pot, 1 litre "
        "Often bought together with Hand coffee mill in 41 of 380 orders "
        "Price £12.90 Discount (−10%) −£1.29 Shipping £0.00 To pay now tax included £11.61 "
        "Visa •••• 4242, the card you just used Buy now · £11.61 No thanks"
    )


def test_without_a_why_without_a_discount_and_with_several_pieces() -> None:
    card = offer_card(
        because_of_title=None,
        quantity=3,
        item=Money(3870, "gbp"),
        discount=Money(0, "gbp"),
        discount_percent=0,
        shipping=Money(250, "gbp"),
        total=Money(4120, "gbp"),
    )
    assert text(render_fragment(card)) == (
        "Order #1042 is confirmed and paid One more thing? Enamel coffee pot, 1 litre Quantity: 3 "
        "Price £38.70 Shipping £2.50 To pay now tax included £41.20 "
        "Visa •••• 4242, the card you just used Buy now · £41.20 No thanks"
    )


@pytest.mark.parametrize(
    ("currency", "item", "total", "shown"),
    [("jpy", 500, 450, "¥450"), ("kwd", 1500, 1350, "KWD\u00a01.350"), ("isk", 130000, 117000, "ISK\u00a01,170.00")],
)
def test_currencies_with_other_decimals_show_what_is_charged(currency: str, item: int, total: int, shown: str) -> None:
    card = offer_card(
        locale="en",
        item=Money(item, currency),
        discount=Money(item - total, currency),
        shipping=Money(0, currency),
        total=Money(total, currency),
    )
    assert f">Buy now · {shown}</button>" in render_fragment(card)


def test_a_no_travels_with_the_offer_so_that_it_can_be_shown_at_once() -> None:
    spare = re.findall(r'<template data-view="declined">(.*?)</template>', render_fragment(offer_card()), flags=re.S)
    assert [text(html) for html in spare] == [text(render_fragment(offer_card(CardState.DECLINED)))]


def test_the_answer_for_a_lost_accept_travels_with_the_offer_and_holds_no_order_button() -> None:
    spare = re.findall(r'<template data-view="unknown">(.*?)</template>', render_fragment(offer_card()), flags=re.S)
    assert len(spare) == 1
    assert [attributes["data-act"] for tag, attributes in elements(spare[0]) if tag == "form"] == ["refresh"]
    assert "We are checking with the bank – you will not be charged twice." in spare[0]


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("", "Your bank declined £11.61."),
        ("card_declined", "Your bank declined £11.61."),
        ("stolen_card", "Your bank declined £11.61."),
        ("fraudulent", "Your bank declined £11.61."),
        ("insufficient_funds", "There is not enough money on Visa •••• 4242 for £11.61."),
        ("expired_card", "Visa •••• 4242 has expired."),
        ("incorrect_cvc", "The security code of Visa •••• 4242 is not right."),
        ("payment_intent_authentication_failure", "Your bank could not confirm that it was you."),
        ("processing_error", "Your bank did not answer as it should."),
    ],
)
def test_a_refusal_is_told_in_plain_words_and_never_accuses(code: str, sentence: str) -> None:
    told = text(render_fragment(offer_card(CardState.FAILED, failure_code=code)))
    assert told.startswith(f"{sentence} Your order #1042 is unchanged. Nothing was charged. Enamel coffee pot")


def test_without_a_publishable_key_the_shopper_can_only_leave_it() -> None:
    for state in (CardState.FAILED, CardState.ACTION_REQUIRED):
        html = render_fragment(offer_card(state, publishable_key=""))
        assert re.findall(r"<button[^>]*>(.*?)</button>", html) == ["Leave it"]
        assert "JavaScript" not in html


def test_a_charged_offer_shows_its_line_its_charge_and_until_when_it_can_be_undone() -> None:
    assert text(render_fragment(offer_card(CardState.CHARGED))) == (
        "Added to your order #1042 Charged to Visa •••• 4242. Enamel coffee pot, 1 litre "
        "Price £12.90 Discount (−10%) −£1.29 Shipping £0.00 Charged tax included £11.61 "
        "Changed your mind? You get the full £11.61 back. Undo until 14:33"
    )


def test_an_undo_that_ends_on_another_day_names_the_day() -> None:
    tomorrow = datetime(2026, 11, 22, 9, 0, tzinfo=LONDON)
    assert "Undo until 22 Nov, 09:00" in render_fragment(offer_card(CardState.CHARGED, undo_until=tomorrow))


def test_after_the_undo_window_there_is_no_undo() -> None:
    assert "undo" not in render_fragment(offer_card(CardState.CHARGED, undo_until=None)).lower()


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (CardState.UNDONE, "Undone. The refund of £11.61 started at 14:21. Banks take 5 to 10 days to show it."),
        (CardState.DECLINED, "All right, nothing added. Nothing was charged. Your order #1042 is unchanged."),
        (CardState.EXPIRED, "This offer is no longer available. Nothing was charged. Your order #1042 is unchanged."),
        (CardState.SOLD_OUT, "Sold out in the meantime. Nothing was charged. Your order #1042 is unchanged."),
        (CardState.CANCELED, "Not added. Nothing was charged. Your order #1042 is unchanged."),
    ],
)
def test_every_end_says_what_happened_to_the_money(state: CardState, told: str) -> None:
    assert text(render_fragment(offer_card(state))).startswith(told)


def test_a_hostile_title_is_text() -> None:
    attack = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}</template>'
    for state in CardState:
        html = render_section(offer_card(state, title=attack, because_of_title=attack, order_ref=attack))
        assert attack not in html
        assert [attributes for tag, attributes in elements(html) if tag == "script"] == [
            {"type": "module", "src": "/assets/offer.js"}
        ]
    assert "{{ 7*7 }}" in unescape(html)


def test_a_product_without_a_picture_leaves_no_hole() -> None:
    assert not [tag for tag, _ in elements(render_fragment(offer_card(image_url=None))) if tag == "img"]


def test_the_picture_reserves_its_place_and_is_left_to_the_title_for_words() -> None:
    images = [
        attributes for tag, attributes in elements(render_fragment(offer_card(CardState.CHARGED))) if tag == "img"
    ]
    assert images == [{"src": "/pot.svg", "alt": "", "width": "96", "height": "96", "decoding": "async"}]


def test_a_plain_form_can_come_back_to_the_section_by_its_anchor() -> None:
    found = elements(render_section(offer_card()))
    assert [attributes["id"] for tag, attributes in found if tag == "encore-offer"] == ["encore"]


def test_a_nonce_is_put_on_the_script_and_the_stylesheet() -> None:
    found = elements(render_section(offer_card(csp_nonce="r4nd0m")))
    nonces = [(tag, attributes.get("nonce")) for tag, attributes in found if tag in {"link", "script"}]
    assert nonces == [("link", "r4nd0m"), ("link", "r4nd0m"), ("script", "r4nd0m")]


def test_every_field_of_the_context_is_read_by_somebody() -> None:
    templates = Path(flask_encore.__file__).parent / "templates" / "encore" / "offer"
    readers = "".join(
        path.read_text(encoding="utf-8") for path in [*templates.glob("*.html"), Path(card_module.__file__)]
    )
    assert {field.name for field in fields(OfferCard) if f"card.{field.name}" not in readers} == set()


def test_a_section_is_markup_so_that_the_host_s_template_does_not_escape_it() -> None:
    assert isinstance(render_section(offer_card()), Markup)


def test_a_host_can_override_one_view_and_rely_on_the_context() -> None:
    theirs = DictLoader({"encore/offer/closed.html": "Bye {{ card.title }}, {{ say('nothing_charged') }}"})
    environment = Environment(autoescape=True, loader=ChoiceLoader([theirs, PackageLoader("flask_encore")]))
    card = offer_card(CardState.EXPIRED, title="<b>")
    assert text(render_fragment(card, environment=environment)) == "Bye <b>, Nothing was charged."


def test_a_card_is_named_as_it_is_printed() -> None:
    assert card_name("visa", "4242") == "Visa •••• 4242"
    assert card_name("link", "") == "Link"
    assert card_name("some_new_brand", "1") == "Some New Brand •••• 1"
    assert card_name("", "4242") == "•••• 4242"
    assert all(name == name.strip() and name for name in BRANDS.values())


def test_an_order_is_named_so_that_a_bare_number_is_not_a_quantity() -> None:
    assert "Order #1042 is confirmed" in render_fragment(offer_card())
    assert "Order SO-1042 is confirmed" in render_fragment(offer_card(order_ref="SO-1042"))


def test_rendering_depends_on_nothing_but_the_card() -> None:
    card = offer_card(CardState.CHARGED)
    assert render_section(card) == render_section(replace(card))


def test_script_and_style_together_stay_under_ten_kilobytes_on_the_wire() -> None:
    sizes = {path.name: len(gzip.compress(path.read_bytes(), 9, mtime=0)) for path in OFFER.iterdir()}
    assert sorted(sizes) == ["offer.css", "offer.js"]
    assert sum(sizes.values()) <= 10_000, sizes
