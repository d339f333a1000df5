"""Variants, quantities and texts: the server's own choice is claimed and charged, or nothing is."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from campaigns import launch, only
from conftest import Shop
from money import charge_row, heal, state_of, statements, take, together, told

from flask_encore import Money, Product
from flask_encore.services import accepting
from flask_encore.services.accepting import ChoiceGone, TextRefused

CREATE = "/v1/payment_intents"

SHIRTS = [
    Product(
        sku=f"shirt-{size}",
        title=f"Shirt, {size.upper()}",
        price=Money(price, "gbp"),
        stock=stock,
        parent="shirt",
        options={"Size": size.upper()},
    )
    for size, price, stock in (("m", 1500, 4), ("l", 1600, 4), ("xl", 1700, 0))
]
MESSAGE = {"label": {"en": "Your message"}, "max_length": 20, "required": False}


def variants(shop: Shop, order_ref: str = "1042") -> str:
    """The id of an offer of a shirt in M, L, or XL, which is sold out; at 10 % off."""
    with shop.app.app_context():
        shop.encore.catalog.upsert(SHIRTS)
    launch(shop, "shirts", offer={"kind": "fixed", "skus": ["shirt"], "discount": {"percent": 10}})
    shop.pay(order_ref)
    return str(only(shop, order_ref).decision["id"])


def more(shop: Shop, order_ref: str = "1042") -> str:
    """The id of an offer of one, two or three more mugs at 15 % off."""
    launch(shop, "more", offer={"kind": "more", "minimum": 1, "maximum": 3, "discount": {"percent": 15}})
    shop.pay(order_ref, skus=("mug",))
    return str(only(shop, order_ref).decision["id"])


def wrapping(shop: Shop, order_ref: str = "1042", **text: Any) -> str:
    """The id of an offer of gift wrapping with a message."""
    with shop.app.app_context():
        shop.encore.catalog.upsert([Product(sku="wrap", title="Gift wrapping", price=Money(300, "gbp"), stock=0)])
    launch(shop, "wrap", offer={"kind": "service", "sku": "wrap", "text": MESSAGE | text})
    shop.pay(order_ref)
    return str(only(shop, order_ref).decision["id"])


def charged_amounts(shop: Shop) -> list[int]:
    """Minor units Stripe moved besides the order's own payment."""
    return [charge["amount"] for charge in shop.stripe.charges() if charge["amount"] != 3400]


def nothing_moved(shop: Shop) -> None:
    """No claim, no call to Stripe, no stock taken, nothing told."""
    assert shop.rows("charges") == []
    assert shop.stripe.calls(CREATE) == []
    assert charged_amounts(shop) == []
    assert [row["stock"] for row in shop.rows("products") if row["sku"].startswith("shirt")] in ([], [4, 4, 0])
    assert shop.rows("outbox") == []


def test_the_chosen_variant_is_claimed_reserved_charged_and_told(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = variants(shop)
    shown = only(shop).decision["snapshot"]["choices"]
    assert [(one["sku"], one["total"], one.get("sold_out", False)) for one in shown] == [
        ("shirt-m", 1350, False),
        ("shirt-l", 1440, False),
        ("shirt-xl", 1530, True),
    ]

    assert take(shop, offer_id, 1) == "charged"

    row = charge_row(shop)
    assert (row["sku"], row["second_sku"], row["quantity"], row["amount_minor"]) == ("shirt-l", None, 1, 1440)
    assert (row["campaign_ref"], row["currency"]) == ("shirts", "gbp")
    assert charged_amounts(shop) == [1440]
    assert [shop.stock(shirt.sku) for shirt in SHIRTS] == [4, 3, 0]
    assert shop.stripe.intents()[-1]["description"] == "Shirt, L (added to order 1042)"
    heal(shop)
    event = shop.delivered[0]
    assert [(line.sku, line.amount) for line in event.lines] == [("shirt-l", Money(1440, "gbp"))]
    assert (event.sku, event.title, event.campaign_ref) == ("shirt-l", "Shirt, L", "shirts")


def test_the_charges_snapshot_is_what_was_chosen_and_the_decision_keeps_all_choices(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = variants(shop)
    before = only(shop).decision["snapshot"]

    take(shop, offer_id, 1)

    offered = accepting.find(shop.rt, offer_id)
    assert offered is not None and offered.charge is not None
    snapshot = offered.charge.snapshot
    chosen = before | before["choices"][1] | {"text_given": ""}
    # what the goods cost the shop is nobody's business but the reports'
    assert snapshot == {name: value for name, value in chosen.items() if name not in {"choices", "cost"}}
    assert offered.decision["snapshot"] == before


def test_the_default_choice_costs_no_further_statement_and_its_charge_forgets_the_others(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = variants(shop)
    with statements(shop) as log:
        accepting.accept(shop.rt, offer_id, return_url="")

    assert log[:3] == ["INSERT encore_charges", "UPDATE encore_products", "COMMIT"]
    assert len(log) == 8
    offered = accepting.find(shop.rt, offer_id)
    assert offered is not None and offered.charge is not None
    assert offered.charge.amount == Money(1350, "gbp")
    assert "choices" not in offered.charge.snapshot


def test_another_choice_costs_one_read_more(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = variants(shop)
    with statements(shop) as log:
        accepting.accept(shop.rt, offer_id, return_url="", choice=1)

    assert log[:4] == ["SELECT encore_decisions", "INSERT encore_charges", "UPDATE encore_products", "COMMIT"]
    assert len(log) == 9


def test_a_choice_that_is_sold_out_unknown_or_tampered_with_claims_nothing(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = variants(shop)

    for choice in (2, 3, -1, 99, "1", 1.0, None, True, False, [1]):
        with pytest.raises(ChoiceGone):
            take(shop, offer_id, choice)

        nothing_moved(shop)
        assert state_of(shop, offer_id) == "open"


def test_a_variant_that_sold_out_meanwhile_is_gone_and_another_can_still_be_taken(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = variants(shop)
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_products SET stock = 0 WHERE sku IN ('shirt-m', 'shirt-l')"))
        connection.execute(sa.text("UPDATE encore_products SET stock = 1 WHERE sku = 'shirt-l'"))

    with pytest.raises(ChoiceGone):
        take(shop, offer_id)
    assert shop.rows("charges") == []
    assert state_of(shop, offer_id) == "open"

    assert take(shop, offer_id, 1) == "charged"
    assert charged_amounts(shop) == [1440]


def test_an_offer_whose_variants_all_sold_out_meanwhile_is_sold_out(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = variants(shop)
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_products SET stock = 0"))

    assert take(shop, offer_id, 1) == "sold_out"

    assert shop.rows("charges") == []
    assert charged_amounts(shop) == []


def test_a_quantity_is_taken_from_stock_and_charged_as_a_whole(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = more(shop)

    assert take(shop, offer_id, 2) == "charged"

    row = charge_row(shop)
    assert (row["sku"], row["quantity"], row["amount_minor"]) == ("mug", 3, 3289)  # 3 x 12.90 less 15 %, rounded down
    assert charged_amounts(shop) == [3289]
    assert shop.stock("mug") == 37
    assert shop.stripe.intents()[-1]["description"] == "3 × Enamel mug (added to order 1042)"


def test_two_clicks_with_different_choices_are_one_charge_and_the_first_wins(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = variants(shop)

    assert take(shop, offer_id, 1) == "charged"
    assert take(shop, offer_id, 0) == "charged"
    assert take(shop, offer_id, 99) == "charged"

    assert charge_row(shop)["sku"] == "shirt-l"
    assert charged_amounts(shop) == [1440]


def test_eight_clicks_at_once_on_three_choices_are_one_charge_of_one_of_them(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = more(shop)

    together(8, lambda number: take(shop, offer_id, number % 3))

    heal(shop)
    row = charge_row(shop)
    assert (row["quantity"], row["amount_minor"]) in [(1, 1096), (2, 2193), (3, 3289)]
    assert charged_amounts(shop) == [row["amount_minor"]]
    assert shop.stock("mug") == 40 - row["quantity"]
    assert told(shop) == ["charge_succeeded", "hold_released"]


def test_what_does_not_add_up_is_never_charged(any_shop: Shop) -> None:
    # Nothing of ours writes such an offer; the claim looks anyway, as the last one before the bank.
    shop = any_shop
    offer_id = variants(shop)
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_decisions SET total_minor = total_minor + 1"))

    assert take(shop, offer_id) == "open"

    nothing_moved(shop)
    assert shop.rt.counts["offer_does_not_add_up"] == 1


def test_a_text_is_cleaned_kept_with_the_charge_and_told_to_the_shop(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = wrapping(shop)

    assert take(shop, offer_id, 0, "  For <Ada>\u202e\r\n\x00with love ") == "charged"

    heal(shop)
    assert [event.text for event in shop.delivered] == ["For <Ada>\n with love"] * 2
    assert charged_amounts(shop) == [300]
    assert shop.stock("wrap") == 0  # a service has none to take


@pytest.mark.parametrize(("text", "reason"), [("", "missing"), (" \r\n", "missing"), ("x" * 21, "too_long")])
def test_a_text_that_is_missing_or_too_long_claims_nothing(any_shop: Shop, text: str, reason: str) -> None:
    shop = any_shop
    offer_id = wrapping(shop, required=True)

    with pytest.raises(TextRefused) as refused:
        take(shop, offer_id, 0, text)

    assert refused.value.reason == reason
    nothing_moved(shop)
    assert state_of(shop, offer_id) == "open"
    assert take(shop, offer_id, 0, "For Ada") == "charged"


def test_a_text_that_may_be_left_out_is_left_out(any_shop: Shop) -> None:
    offer_id = wrapping(any_shop)

    assert take(any_shop, offer_id) == "charged"

    any_shop.sweep()
    assert any_shop.delivered[0].text == ""


def test_a_text_sent_to_an_offer_that_asks_for_none_is_not_kept(any_shop: Shop) -> None:
    offer_id = variants(any_shop)

    assert take(any_shop, offer_id, 0, "<script>" * 1000) == "charged"

    assert "script" not in str(any_shop.rows("charges")) + str(any_shop.rows("outbox"))


def test_the_text_of_the_first_click_stays(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = wrapping(shop, required=True)

    for text in ("For Ada", "For Bob", "", "x" * 100):
        assert take(shop, offer_id, 0, text) == "charged"

    shop.sweep()
    assert [event.text for event in shop.delivered] == ["For Ada"]
    assert charged_amounts(shop) == [300]


def test_a_service_that_was_taken_off_the_catalogue_meanwhile_is_not_sold(any_shop: Shop) -> None:
    shop = any_shop
    offer_id = wrapping(shop)
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_products SET active = false WHERE sku = 'wrap'"))

    assert take(shop, offer_id) == "sold_out"

    assert shop.rows("charges") == []
    assert charged_amounts(shop) == []
