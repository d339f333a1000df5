"""What a shopper agrees to, from an offer's snapshot to a charge's, and what is refused before anything is claimed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from flask_encore.domain.agreements import Agreement, ChoiceGone, TextRefused, taken
from flask_encore.domain.charges import Charge, ChargeStatus
from flask_encore.domain.errors import IllegalTransition
from flask_encore.domain.money import Money
from flask_encore.domain.prices import OfferLine

AT = datetime(2026, 3, 2, 14, 3, tzinfo=UTC)

#: As the first releases froze an offer.
EARLIER = {"title": "Enamel mug", "item": 1290, "discount": 129, "shipping": 0, "total": 1161}


def line(sku: str, item: int, discount: int = 0, *, quantity: int = 1) -> dict[str, Any]:
    return {
        "sku": sku,
        "title": sku.title(),
        "quantity": quantity,
        "item": item,
        "discount": discount,
        "ships": True,
    }


def way(sku: str, item: int, *, quantity: int = 1, **changes: Any) -> dict[str, Any]:
    """One way to take an offer, as a snapshot keeps it."""
    told = {"sku": sku, "second_sku": None, "title": sku.title(), "quantity": quantity, "item": item, "discount": 0}
    told |= {"shipping": 0, "tax": None, "tax_included": True, "total": item, "options": {}, "was": None}
    return told | {"lines": [line(sku, item, quantity=quantity)]} | changes


SHIRT = way("shirt-m", 1500, options={"Size": "M"})
OFFER = SHIRT | {
    "kind": "fixed",
    "choose": "variant",
    "choices": [
        SHIRT,
        way("shirt-l", 1600, options={"Size": "L"}),
        way("shirt-xl", 1600, options={"Size": "XL"}, sold_out=True),
    ],
    "text": None,
    "locale": "en",
}
MESSAGE = {"label": "Your message", "max_length": 12, "required": False}


def charge(snapshot: dict[str, Any], **changes: Any) -> Charge:
    values: dict[str, Any] = {
        "id": "offer-1",
        "account": "",
        "order_ref": "1042",
        "sku": "mug",
        "quantity": 1,
        "amount": Money(1161, "gbp"),
        "customer_ref": "cus_3",
        "payment_method_ref": "pm_5",
        "payment_method_type": "card",
        "card_brand": "visa",
        "card_last4": "4242",
        "status": ChargeStatus.CLAIMED,
        "payment_intent_ref": None,
        "attempt": 0,
        "epoch": 0,
        "failure_code": "",
        "accepted_at": AT,
        "expires_at": AT,
        "charged_at": None,
        "undo_until": None,
        "hold_released_at": None,
        "quarantine_reason": "",
        "updated_at": AT,
        "snapshot": snapshot,
    }
    return Charge(**values | changes)


def test_the_default_choice_is_the_offer_without_its_choices() -> None:
    told = taken(OFFER)

    assert told == {name: value for name, value in OFFER.items() if name != "choices"} | {"text_given": ""}


def test_another_choice_puts_its_own_product_price_and_lines_on_top() -> None:
    told = taken(OFFER, 1)

    assert (told["sku"], told["total"], told["options"]) == ("shirt-l", 1600, {"Size": "L"})
    assert told["lines"] == [line("shirt-l", 1600)]
    assert (told["locale"], told["kind"], "choices" in told) == ("en", "fixed", False)
    assert OFFER["sku"] == "shirt-m"


@pytest.mark.parametrize("choice", [2, 3, -1, 1.0, "1", None, True, False])
def test_a_choice_that_is_sold_out_unknown_or_no_number_is_gone(choice: Any) -> None:
    with pytest.raises(ChoiceGone, match="nothing was claimed and nothing charged"):
        taken(OFFER, choice)


def test_an_offer_with_one_way_to_take_it_has_only_that_one() -> None:
    assert taken(EARLIER) == EARLIER | {"text_given": ""}
    with pytest.raises(ChoiceGone):
        taken(EARLIER, 1)


def test_a_default_that_is_marked_sold_out_is_gone_like_any_other() -> None:
    with pytest.raises(ChoiceGone):
        taken(OFFER | {"choices": [SHIRT | {"sold_out": True}, OFFER["choices"][1]]})


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("  For Ada \n", "For Ada"),
        ("one\r\ntwo\rsix", "one\ntwo\nsix"),
        ("one\u2028two", "one\ntwo"),
        ("a\x00b\tc", "a b c"),
        ("\u202eevil\u202c", "evil"),
        ("\u2066a\u2069", "a"),
        ("a\ud800b", "a b"),
        ("مرحبا", "مرحبا"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("<b>&amp;", "<b>&amp;"),
        ("", ""),
        ("\u200b\u200d", ""),
        (None, ""),
        (b"bytes", ""),
    ],
)
def test_a_text_is_kept_as_it_can_be_shown_to_whoever_packs(sent: Any, kept: str) -> None:
    assert taken(EARLIER | {"text": MESSAGE}, 0, sent)["text_given"] == kept


def test_a_text_nobody_asked_for_is_not_kept() -> None:
    assert taken(OFFER, 0, "For Ada")["text_given"] == ""
    assert taken(EARLIER, 0, "x" * 100_000)["text_given"] == ""


def test_a_text_may_be_as_long_as_the_offer_says_after_it_was_trimmed() -> None:
    assert taken(EARLIER | {"text": MESSAGE}, 0, f" {'é' * 12} ")["text_given"] == "é" * 12
    with pytest.raises(TextRefused) as refused:
        taken(EARLIER | {"text": MESSAGE}, 0, "é" * 13)
    assert refused.value.reason == "too_long"


@pytest.mark.parametrize("sent", ["", "  \r\n ", "\x00\u202e", "\u200b", None])
def test_a_required_text_that_says_nothing_is_missing(sent: Any) -> None:
    with pytest.raises(TextRefused) as refused:
        taken(EARLIER | {"text": MESSAGE | {"required": True}}, 0, sent)
    assert refused.value.reason == "missing"


def test_an_agreement_of_an_earlier_release_is_of_one_line() -> None:
    sold = charge(EARLIER)
    agreed = Agreement.of(sold)

    mug = OfferLine(
        sku="mug", title="Enamel mug", quantity=1, item=Money(1290, "gbp"), discount=Money(129, "gbp"), ships=True
    )
    assert agreed == Agreement(
        lines=(mug,), shipping=Money(0, "gbp"), tax=None, tax_included=True, total=Money(1161, "gbp"), text=""
    )
    agreed.check(sold)
    assert agreed.description == "Enamel mug"


BUNDLE = {
    "title": "Mug + Tea",
    "lines": [line("mug", 1290, 290), line("tea", 850, 50)],
    "shipping": 300,
    "tax": 420,
    "tax_included": False,
    "total": 2520,
    "text_given": "For Ada",
}


def test_an_agreement_tells_lines_shipping_tax_and_text() -> None:
    sold = charge(BUNDLE, second_sku="tea", amount=Money(2520, "gbp"))
    agreed = Agreement.of(sold)

    agreed.check(sold)
    assert [(one.sku, one.amount) for one in agreed.lines] == [("mug", Money(1000, "gbp")), ("tea", Money(800, "gbp"))]
    assert (agreed.shipping, agreed.tax, agreed.tax_included) == (Money(300, "gbp"), Money(420, "gbp"), False)
    assert (agreed.text, agreed.description) == ("For Ada", "Mug + Tea")


def test_several_pieces_are_described_by_their_number() -> None:
    three = {"title": "Pot", "lines": [line("pot", 900, quantity=3)], "shipping": 0, "total": 900}
    sold = charge(three, sku="pot", quantity=3, amount=Money(900, "gbp"))

    Agreement.of(sold).check(sold)
    assert Agreement.of(sold).description == "3 × Pot"


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": Money(2519, "gbp")},
        {"second_sku": None},
        {"second_sku": "pot"},
        {"quantity": 2},
        {"snapshot": BUNDLE | {"total": 2521}},
        {"snapshot": BUNDLE | {"shipping": 299}},
        {"snapshot": BUNDLE | {"tax_included": True}},
        {"snapshot": BUNDLE | {"lines": [line("mug", 1290, 290)]}},
    ],
)
def test_what_does_not_add_up_to_the_minor_unit_and_the_piece_is_refused(wrong: dict[str, Any]) -> None:
    sold = charge(BUNDLE, second_sku="tea", amount=Money(2520, "gbp"))

    with pytest.raises(IllegalTransition, match="offer offer-1"):
        Agreement.of(replace(sold, **wrong)).check(replace(sold, **wrong))
