"""One offer after another: the next after a yes that was charged, another after a no, and never more than three."""

from __future__ import annotations

from typing import Any

import pytest
from campaigns import decisions, launch, shown, told
from conftest import Shop
from hosts import together
from money import statements

from flask_encore import Money, Product
from flask_encore.domain.offers import Placement
from flask_encore.services import accepting, campaigning, offering, reporting
from flask_encore.services.offering import Offered


def fixed(sku: str, percent: int = 0) -> dict[str, Any]:
    return {"kind": "fixed", "skus": [sku], "discount": {"percent": percent}}


@pytest.fixture
def chain(any_shop: Shop) -> Shop:
    """tea, after a yes a mug, after a no the tea for less; whatever follows the mug is a spoon, and a fourth a fork."""
    with any_shop.app.app_context():
        any_shop.encore.catalog.upsert(
            [Product(sku=sku, title=sku.title(), price=Money(600, "gbp")) for sku in ("spoon", "fork")]
        )
    launch(any_shop, "first", offer=fixed("tea"), on_accept="more", on_decline="less")
    launch(any_shop, "more", begins=False, offer=fixed("mug"), on_accept="third", on_decline="third")
    launch(any_shop, "less", begins=False, offer=fixed("tea", 20))
    launch(any_shop, "third", begins=False, offer=fixed("spoon"), on_accept="fourth", on_decline="fourth")
    launch(any_shop, "fourth", begins=False, offer=fixed("fork"))
    any_shop.pay()
    return any_shop


def last(shop: Shop) -> Offered:
    return shown(shop)[-1]


def yes(shop: Shop) -> None:
    charge = accepting.accept(shop.rt, last(shop).decision["id"], return_url="")
    assert charge is not None and charge.status == "succeeded"


def no(shop: Shop) -> None:
    assert accepting.decline(shop.rt, last(shop).decision["id"])


def test_after_a_yes_comes_the_upsell_and_after_a_no_the_downsell(chain: Shop) -> None:
    assert told(chain) == [("first", "tea")]
    no(chain)
    assert told(chain) == [("first", "tea"), ("less", "tea")]
    assert [one.decision["total_minor"] for one in shown(chain)] == [850, 680]

    chain.pay("2")
    chain.pay("3")
    assert told(chain, "2") == [("first", "tea")]
    assert accepting.accept(chain.rt, shown(chain, "2")[0].decision["id"], return_url="")
    assert told(chain, "2") == [("first", "tea"), ("more", "mug")]


def test_an_order_is_shown_three_offers_at_most(chain: Shop) -> None:
    yes(chain)
    yes(chain)
    assert told(chain) == [("first", "tea"), ("more", "mug"), ("third", "spoon")]
    yes(chain)

    assert told(chain) == [("first", "tea"), ("more", "mug"), ("third", "spoon")]
    assert len(decisions(chain)) == 3


def test_every_step_is_a_decision_a_claim_and_a_charge_of_its_own(chain: Shop) -> None:
    yes(chain)
    yes(chain)

    rows = sorted(chain.rows("charges"), key=lambda row: row["step"])
    assert [(row["step"], row["sku"], row["amount_minor"], row["status"]) for row in rows] == [
        (0, "tea", 850, "succeeded"),
        (1, "mug", 1290, "succeeded"),
    ]
    assert len({row["payment_intent_ref"] for row in rows}) == 2
    assert [row["id"] for row in rows] == [row["id"] for row in decisions(chain)[:2]]
    assert sorted(charge["amount"] for charge in chain.stripe.charges()) == [850, 1290, 3400]
    assert [event.sku for event in chain.delivered] == []
    chain.sweep()
    assert sorted(event.sku for event in chain.delivered) == ["mug", "tea"]


def test_while_an_offer_is_unanswered_nothing_follows_it(chain: Shop) -> None:
    assert told(chain) == told(chain) == [("first", "tea")]
    assert offering.next_of(chain.rt, last(chain)) is None
    assert len(decisions(chain)) == 1


@pytest.mark.parametrize("card", ["4000000000000341", "4000002760003184"])
def test_after_a_banks_no_or_its_question_nothing_follows(chain: Shop, card: str) -> None:
    chain.pay("2", card=card)
    charge = accepting.accept(chain.rt, shown(chain, "2")[0].decision["id"], return_url="")

    assert charge is not None and charge.status in {"failed", "action_required"}
    assert told(chain, "2") == [("first", "tea")]


def test_an_offer_that_ran_out_and_one_that_was_undone_end_the_sequence(chain: Shop) -> None:
    yes(chain)
    chain.pay("2")
    shown(chain, "2")
    first = accepting.find(chain.rt, decisions(chain)[0]["id"])
    assert first is not None
    accepting.undo(chain.rt, first)
    chain.clock.advance(minutes=31)

    assert told(chain) == told(chain, "2") == [("first", "tea")]
    assert [len(decisions(chain, ref)) for ref in ("1042", "2")] == [1, 1]


def test_the_answer_brings_the_next_step_along(chain: Shop) -> None:
    first = last(chain)
    yes(chain)
    answered = accepting.find(chain.rt, first.decision["id"])
    assert answered is not None
    following = offering.next_of(chain.rt, answered)

    assert following is not None
    assert (following.decision["campaign_ref"], following.decision["step"]) == ("more", 1)
    assert offering.next_of(chain.rt, answered) == accepting.find(chain.rt, following.decision["id"])


def test_a_campaign_that_follows_is_asked_like_any_other(chain: Shop) -> None:
    launch(chain, "more", begins=False, offer=fixed("mug"), rule={"country": ["US"]})
    yes(chain)

    assert told(chain) == [("first", "tea")]
    assert [(row["step"], row["outcome"], row["reason"]) for row in decisions(chain)] == [
        (0, "offered", "chosen"),
        (1, "ineligible", "no_campaign"),
    ]
    assert decisions(chain)[1]["trace"]["asked"][0]["because"] == ["country GB is not US"]


def test_one_that_was_paused_or_removed_meanwhile_ends_the_sequence(chain: Shop) -> None:
    campaigning.set_status(chain.rt, "more", "paused", actor="tests")
    yes(chain)

    assert told(chain) == [("first", "tea")]
    assert decisions(chain)[1]["trace"]["asked"][0]["because"] == ["the campaign is paused"]


def test_the_same_offer_is_not_made_to_an_order_twice(any_shop: Shop) -> None:
    launch(any_shop, "first", offer=fixed("tea"), on_decline="again")
    launch(any_shop, "again", begins=False, offer=fixed("tea"))
    any_shop.pay()
    shown(any_shop)
    no(any_shop)

    assert told(any_shop) == [("first", "tea")]
    assert decisions(any_shop)[1]["candidates"][0]["filtered"] == "already_offered"


def test_when_the_next_step_cannot_be_decided_the_answer_stands(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    launch(shop, "first", offer=fixed("tea"), on_accept="more")
    launch(shop, "more", begins=False, offer=fixed("mug"))
    shop.pay()
    first = last(shop)
    yes(shop)

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(offering, "decision_row", broken)
    answered = accepting.find(shop.rt, first.decision["id"])
    assert answered is not None and answered.charge is not None

    assert offering.next_of(shop.rt, answered) is None
    assert shop.rt.counts["next_RuntimeError"] == 1
    assert answered.charge.status == "succeeded"


def test_two_tabs_that_ask_for_the_next_step_at_once_get_one(chain: Shop) -> None:
    yes(chain)
    answers = together(6, lambda _: [one.decision["id"] for one in shown(chain)])

    assert len({tuple(answer) for answer in answers}) == 1
    assert len(decisions(chain)) == 2


def test_an_offer_that_nothing_follows_asks_the_database_nothing_more(any_shop: Shop) -> None:
    any_shop.pay()
    first = last(any_shop)
    yes(any_shop)
    answered = accepting.find(any_shop.rt, first.decision["id"])
    assert answered is not None
    with statements(any_shop) as log:
        assert offering.next_of(any_shop.rt, answered) is None

    assert log == []


def test_a_follow_up_costs_a_read_its_products_and_a_write(chain: Shop) -> None:
    yes(chain)
    with statements(chain) as log:
        shown(chain)
    with statements(chain) as again:
        shown(chain)

    assert log == ["SELECT encore_orders", "SELECT encore_products", "INSERT encore_decisions", "COMMIT"]
    assert again == ["SELECT encore_orders"]


def test_a_follow_up_or_an_order_page_without_an_offer_is_no_order_without_one_in_the_report(chain: Shop) -> None:
    launch(chain, "more", begins=False, offer=fixed("mug"), rule={"country": ["US"]})
    launch(chain, "status", placement="order_status", rule={"country": ["US"]})
    yes(chain)
    shown(chain)
    no_offer = "no-offer"
    launch(chain, "first", status="paused", offer=fixed("tea"))
    chain.pay(no_offer)
    shown(chain, no_offer, page=Placement.ORDER_STATUS)
    report = reporting.report(chain.rt, period=reporting.Period.ALL)

    assert [(row["placement"], row["outcome"]) for row in decisions(chain, no_offer)] == [
        ("order_status", "ineligible")
    ]
    assert list(report.without_offer) == []
    (funnel,) = report.funnels
    assert {step.value: count for step, count in funnel.counts.items()}["charged"] == 1
