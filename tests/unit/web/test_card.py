"""The card as HTML: every state in every language, without a browser."""

from __future__ import annotations

import gzip
import re
from dataclasses import fields, replace
from datetime import datetime
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from jinja2 import ChoiceLoader, DictLoader, Environment, PackageLoader
from markupsafe import Markup
from offer_cards import LONDON, URLS, bundle_card, free_card, offer_card, shirt_card, wrapping_card

import flask_encore
from encore_static import OFFER
from flask_encore.domain.money import Money
from flask_encore.web import card as card_module
from flask_encore.web.card import BRANDS, card_name, render_fragment, render_section
from flask_encore.web.contexts import CardChoice, CardState, Notice, OfferCard
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

    VOID = frozenset({"img", "input", "link", "rect", "circle", "path", "br"})

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


# Kinds of offer


def test_a_choice_names_itself_in_the_price_block_and_in_the_form_that_accepts_it() -> None:
    html = render_fragment(shirt_card(2))
    assert text(html) == (
        "Order #1042 is confirmed and paid One more thing? Merino wool shirt "
        "Version Blue / S · £53.10 Blue / M – sold out Sand / L · £55.80 Show price "
        "1 × Sand / L £62.00 Discount (−10%) −£6.20 Shipping £0.00 To pay now tax included £55.80 "
        "Visa •••• 4242, the card you just used Buy now · £55.80 No thanks"
    )
    inputs = [attributes for tag, attributes in elements(html) if tag == "input"]
    assert inputs == [{"type": "hidden", "name": "choice", "value": "2", "autocomplete": "off"}]


def test_nothing_is_selected_but_what_is_shown_and_what_is_sold_out_cannot_be() -> None:
    options = [attributes for tag, attributes in elements(render_fragment(shirt_card())) if tag == "option"]
    assert options == [{"value": "0", "selected": None}, {"value": "1", "disabled": None}, {"value": "2"}]


def test_choices_of_one_price_do_not_repeat_it() -> None:
    choices = tuple(CardChoice(number=n, name=name, total=None, sold_out=False) for n, name in enumerate("SM"))
    card = shirt_card(choices=choices, options="S")
    assert "Version S M Show price 1 × S £59.00" in text(render_fragment(card))


def test_a_quantity_is_chosen_under_its_own_name() -> None:
    choices = tuple(
        CardChoice(number=n, name=str(2 + n), total=Money(1097 * (2 + n), "gbp"), sold_out=False) for n in range(2)
    )
    card = offer_card(quantity=2, item=Money(2580, "gbp"), choose="quantity", choices=choices)
    assert "Quantity 2 · £21.94 3 · £32.91 Show price 2 × Enamel coffee pot, 1 litre £25.80" in text(
        render_fragment(card)
    )


def test_the_variant_that_was_bought_is_named_under_its_title() -> None:
    card = shirt_card(2, state=CardState.CHARGED, choose="", choices=())
    assert "Merino wool shirt Sand / L Price £62.00" in text(render_fragment(card))


def test_a_bundle_lists_its_lines_and_an_amount_off_has_no_percentage() -> None:
    for state, first, last in (
        (CardState.OPEN, "Mug and tea", "To pay now"),
        (CardState.CHARGED, "Mug and tea", "Charged"),
    ):
        assert (
            f"{first} 1 × Enamel mug £12.90 1 × Assam tea, 250 g £8.50 Discount −£2.40 Shipping £0.00 "
            f"{last} tax included £19.00"
        ) in text(render_fragment(bundle_card(state)))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "Shipping £0.00 To pay now tax included £11.61"),
        ({"tax": Money(194, "gbp")}, "Shipping £0.00 To pay now includes £1.94 tax £11.61"),
        ({"tax": Money(0, "gbp")}, "Shipping £0.00 To pay now £11.61"),
        (
            {"tax": Money(232, "gbp"), "tax_included": False, "total": Money(1393, "gbp")},
            "Shipping £0.00 Tax £2.32 To pay now £13.93",
        ),
    ],
)
def test_tax_is_a_line_where_it_is_added_and_small_print_where_it_is_included(
    changes: dict[str, Any], told: str
) -> None:
    assert told in text(render_fragment(offer_card(**changes)))


def test_an_earlier_price_is_the_lowest_of_thirty_days_and_stands_only_where_the_catalogue_has_one() -> None:
    assert "Price Lowest price of the last 30 days: £14.50 £12.90" in text(
        render_fragment(offer_card(was=Money(1450, "gbp")))
    )
    assert "30 days" not in render_fragment(offer_card())


def test_a_free_item_says_so_on_its_button_and_charges_no_card() -> None:
    assert text(render_fragment(free_card())).endswith(
        "Price £12.90 Discount (−100%) −£12.90 Shipping £0.00 To pay now £0.00 "
        "Free: your card is not charged Add for free No thanks"
    )
    assert text(render_fragment(free_card(CardState.CHARGED))).endswith(
        "Shipping £0.00 Total £0.00 Changed your mind? You can take it off again. Undo until 14:33"
    )
    assert text(render_fragment(free_card(CardState.UNDONE))) == (
        "Undone. It was taken off your order. Nothing had been charged. Enamel coffee pot, 1 litre"
    )


@pytest.mark.parametrize("state", [CardState.CHARGING, CardState.CHARGED, CardState.UNDOING, CardState.UNDONE])
def test_no_state_of_a_free_item_speaks_of_a_card_or_of_a_bank(state: CardState) -> None:
    assert not re.search("Visa|bank(?!s)|Charging|refund", text(render_fragment(free_card(state))))


def test_the_merchants_words_are_text_and_stand_in_for_our_heading() -> None:
    html = render_fragment(offer_card(headline="Milk <b>&</b> honey?", body="<script>x</script> {{ 7*7 }}"))
    assert text(html).startswith(
        "Order #1042 is confirmed and paid Milk <b>&</b> honey? <script>x</script> {{ 7*7 }} Enamel coffee pot"
    )
    assert [tag for tag, _ in elements(html) if tag in {"b", "script"}] == []


def test_an_offer_that_follows_another_says_so_and_does_not_confirm_the_order_again() -> None:
    assert text(render_fragment(offer_card(follows=True))).startswith(
        "One more thing for your order #1042 Enamel coffee pot"
    )
    assert text(render_fragment(offer_card(follows=True, headline="And tea?"))).startswith("And tea? Enamel coffee pot")


def test_a_text_field_has_its_label_its_limit_and_what_was_typed() -> None:
    card = wrapping_card()
    assert card.text is not None
    html = render_fragment(replace(card, text=replace(card.text, given="\nLove <Ann>"), notice=Notice.TEXT_TOO_LONG))
    [field] = [attributes for tag, attributes in elements(html) if tag == "textarea"]
    assert field == {
        "id": "text",
        "name": "text",
        "form": "accept",
        "rows": "2",
        "maxlength": "200",
        "dir": "auto",
        "aria-describedby": "notice limit",
        "required": None,
        "aria-invalid": "true",
    }
    # The first line end after the tag is not part of the text.
    assert ">\n\nLove &lt;Ann&gt;</textarea>" in html
    assert "Your message" in html and "Maximum length: 200" in html


def test_what_was_written_is_shown_with_what_was_bought_and_is_text() -> None:
    html = render_fragment(wrapping_card(state=CardState.CHARGED, text_given="Love,\n<Ann>"))
    assert "Your text: Love,\n&lt;Ann&gt;</p>" in html


def test_a_timer_stands_only_where_there_is_one_and_can_be_extended_once() -> None:
    assert "until" not in render_fragment(offer_card())
    assert "You can accept this offer until 14:30 Give me more time" in text(
        render_fragment(offer_card(seconds_left=90, extendable=True))
    )
    assert "You have time until 14:30 Buy now" in text(
        render_fragment(offer_card(seconds_left=90, notice=Notice.EXTENDED))
    )


def test_what_a_timer_counts_is_read_out_to_nobody() -> None:
    found = [attributes for tag, attributes in elements(render_fragment(offer_card(seconds_left=90))) if tag == "span"]
    assert {"class": "left", "aria-hidden": "true"} in found


@pytest.mark.parametrize("language", sorted(CATALOGUES))
def test_every_kind_of_offer_speaks_every_language(language: str) -> None:
    cards = [shirt_card(), wrapping_card(notice=Notice.TEXT_MISSING), bundle_card(), free_card()]
    cards += [free_card(CardState.CHARGED), free_card(CardState.UNDONE), offer_card(seconds_left=9, extendable=True)]
    for card in cards:
        elements(render_section(replace(card, locale=language)))


# What is never there


@pytest.mark.parametrize(
    "card",
    [offer_card(), shirt_card(), wrapping_card(), bundle_card(), free_card()],
    ids=["product", "variants", "service", "bundle", "free"],
)
def test_no_is_one_button_beside_yes_and_nothing_extra_is_ticked(card: OfferCard) -> None:
    html = re.sub(r"<template data-view.*?</template>", "", render_fragment(card), flags=re.S)
    actions = html.split('<div class="actions">')[1]
    assert re.findall(r'<button class="(\w+)"', actions) == ["yes", "no"]
    no = [attributes for tag, attributes in elements(html) if attributes.get("data-act") == "decline"]
    assert no == [{"method": "post", "action": URLS.decline, "data-act": "decline", "data-busy": "One moment"}]
    assert not [attributes for tag, attributes in elements(html) if attributes.get("type") in {"checkbox", "radio"}]
    assert "checked" not in html


def test_the_card_is_never_told_how_many_pieces_are_left() -> None:
    assert {field.name for field in fields(OfferCard) if "stock" in field.name or "left" in field.name} == {
        "seconds_left"
    }
    assert {field.name for field in fields(CardChoice)} == {"number", "name", "total", "sold_out"}


def test_a_no_travels_with_the_offer_so_that_it_can_be_shown_at_once() -> None:
    spare = re.findall(r'<template data-view="declined">(.*?)</template>', render_fragment(offer_card()), flags=re.S)
    assert [text(html) for html in spare] == [text(render_fragment(offer_card(CardState.DECLINED)))]


def test_a_no_that_another_offer_may_follow_waits_for_the_server() -> None:
    assert '<template data-view="declined">' not in render_fragment(offer_card(downsell=True))


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
    found = elements(render_section(offer_card(place=3)))
    assert [attributes["id"] for tag, attributes in found if tag == "encore-offer"] == ["encore-3"]


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
    # Loaded by pages of other origins alone, beside the two.
    assert sizes.pop("storefront.js") <= 1_500
    assert sorted(sizes) == ["offer.css", "offer.js"]
    assert sum(sizes.values()) <= 10_000, sizes
