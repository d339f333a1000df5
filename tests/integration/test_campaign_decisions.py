"""Which campaign speaks for an order, and what the decision's log says of all that were asked."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from campaigns import decisions, launch, only, shown, told
from conftest import Shop, ShopFactory
from flask import current_app
from money import statements

from flask_encore import Money, OfferLine, PaidOrder, Product, Quote
from flask_encore.domain.offers import Candidate, Placement
from flask_encore.services import accepting, campaigning, explaining, offering, previewing, switching

POT = {"sku": {"any": ["pot"]}}
US = {"country": ["US"]}


def asked(shop: Shop, order_ref: str = "1042", *, step: int = 0) -> list[tuple[str, str]]:
    """(campaign, what it answered) as the log of a decision keeps it."""
    return [(one["ref"], one["result"]) for one in decisions(shop, order_ref)[step]["trace"]["asked"]]


def why(shop: Shop, ref: str, order_ref: str = "1042") -> list[str]:
    """The sentences of one campaign in the log."""
    (found,) = [one for one in decisions(shop, order_ref)[0]["trace"]["asked"] if one["ref"] == ref]
    return list(found["because"])


# Who speaks


def test_a_campaign_whose_rule_is_true_speaks_before_the_built_in_offer(any_shop: Shop) -> None:
    launch(any_shop, "tea", rule=POT)
    any_shop.pay()

    assert told(any_shop) == [("tea", "tea")]
    assert asked(any_shop) == [("tea", "chosen")]


def test_where_no_campaign_applies_the_recommender_chooses(any_shop: Shop) -> None:
    launch(any_shop, "tea", rule=US)
    any_shop.pay()

    assert told(any_shop) == [("built-in", "mug")]
    assert asked(any_shop) == [("tea", "rule"), ("built-in", "chosen")]
    assert why(any_shop, "tea") == ["country GB is not US"]


def test_a_shop_that_turned_the_built_in_offer_off_offers_its_campaigns_and_nothing_else(
    make_shop: ShopFactory,
) -> None:
    shop = make_shop(ENCORE_BUILT_IN_OFFER=False)
    launch(shop, "tea", rule=US)
    shop.pay()

    assert told(shop) == []
    assert [(row["outcome"], row["reason"]) for row in decisions(shop)] == [("ineligible", "no_campaign")]


def test_the_higher_priority_speaks_then_the_narrower_rule(any_shop: Shop) -> None:
    launch(any_shop, "everybody")
    launch(any_shop, "pots", rule=POT)
    any_shop.pay("1")
    assert told(any_shop, "1") == [("pots", "tea")]
    launch(any_shop, "everybody", priority=1)
    any_shop.pay("2")

    assert told(any_shop, "2") == [("everybody", "tea")]


def test_a_tie_is_decided_by_the_ref_and_reported(any_shop: Shop) -> None:
    launch(any_shop, "b-tea", rule=POT)
    launch(any_shop, "a-tea", rule=POT)
    launch(any_shop, "c-other", rule=US)
    any_shop.pay()

    assert told(any_shop) == [("a-tea", "tea")]
    assert decisions(any_shop)[0]["trace"]["tied"] == ["b-tea"]


def test_a_campaign_whose_products_cannot_be_offered_lets_the_next_one_speak(any_shop: Shop) -> None:
    launch(any_shop, "gone", priority=2, offer={"kind": "fixed", "skus": ["vanished"]})
    launch(any_shop, "tea", priority=1)
    any_shop.pay()

    assert told(any_shop) == [("tea", "tea")]
    assert why(any_shop, "gone") == ["vanished is not in the catalogue"]


def test_when_every_product_is_refused_the_log_says_which_and_why(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_BUILT_IN_OFFER=False)
    launch(shop, "dear", offer={"kind": "fixed", "skus": ["pot", "vanished"]})
    shop.pay()

    assert told(shop) == []
    (row,) = decisions(shop)
    assert (row["outcome"], row["reason"]) == ("ineligible", "all_filtered")
    assert [(one["sku"], one["filtered"]) for one in row["candidates"]] == [
        ("pot", "in_order"),
        ("vanished", "not_in_catalogue"),
    ]


@pytest.mark.parametrize("status", ["draft", "paused", "ended"])
def test_only_live_campaigns_are_asked(shop: Shop, status: str) -> None:
    launch(shop, "tea", status="draft")
    if status != "draft":
        campaigning.set_status(shop.rt, "tea", "live", actor="tests")
        campaigning.set_status(shop.rt, "tea", status, actor="tests")
    shop.pay()

    assert told(shop) == [("built-in", "mug")]
    assert asked(shop) == [("built-in", "chosen")]


def test_a_campaign_begins_and_ends_by_the_shops_wall_clock(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_TIME_ZONE="America/New_York")  # 14:03 in London is 9:03 there
    launch(shop, "tea", starts_at="2026-03-02T09:04", ends_at="2026-03-02T09:05")
    for order_ref in ("before", "within", "after"):
        shop.pay(order_ref)
        shown(shop, order_ref)
        shop.clock.advance(minutes=1)

    assert [told(shop, ref)[0][0] for ref in ("before", "within", "after")] == ["built-in", "tea", "built-in"]
    assert why(shop, "tea", "before") == ["the campaign is scheduled"]
    assert why(shop, "tea", "after") == ["the campaign is ended"]


def test_a_change_is_seen_by_the_next_page(any_shop: Shop) -> None:
    any_shop.pay("1")
    assert told(any_shop, "1") == [("built-in", "mug")]
    launch(any_shop, "tea")
    any_shop.pay("2")
    campaigning.set_status(any_shop.rt, "tea", "paused", actor="tests")
    any_shop.pay("3")

    assert told(any_shop, "2") == [("built-in", "mug")]
    assert told(any_shop, "3") == [("built-in", "mug")]


def test_a_definition_this_release_does_not_understand_takes_no_other_campaign_away(shop: Shop) -> None:
    launch(shop, "tea")
    launch(shop, "other", priority=9)
    with shop.rt.db.write() as connection:
        newer = "UPDATE encore_campaigns SET definition = :definition, version = 7 WHERE campaign_ref = 'other'"
        connection.execute(sa.text(newer), {"definition": '{"ref": "other"}'})
        connection.execute(sa.text("UPDATE encore_switches SET revision = revision + 1"))
    shop.pay()

    assert told(shop) == [("tea", "tea")]
    assert shop.rt.counts["campaign_not_understood"] == 1


# What is asked of the shopper


def test_a_rule_knows_the_customers_earlier_orders_and_nobody_elses(any_shop: Shop) -> None:
    returning = {"all": [{"order_count": {"at_least": 1}}, {"bought_sku": {"any": ["mug"]}}]}
    launch(any_shop, "back", rule=returning)
    any_shop.pay("first", skus=("mug",))
    assert told(any_shop, "first") == [("built-in", "tea")]
    any_shop.clock.advance(hours=48)
    any_shop.pay("second")
    any_shop.pay("guest", customer_ref=None)

    assert told(any_shop, "second") == [("back", "tea")]
    assert told(any_shop, "guest") == [("built-in", "mug")]
    assert why(any_shop, "back", "first") == [
        "earlier orders 0 is not ≥ 1",
        "products bought before include none of them: any of mug is not met",
    ]
    assert why(any_shop, "back", "guest") == ["earlier orders not known", "products bought before not known"]


def test_a_rule_knows_what_the_shop_tells_of_the_order(shop: Shop) -> None:
    launch(shop, "gold", rule={"all": [{"loyalty_tier": ["gold"]}, {"discount_code": {"any": ["spring"]}}]})
    shop.pay("1", loyalty_tier="gold", discount_codes=["SPRING"])
    shop.pay("2", loyalty_tier="", discount_codes=[])

    assert told(shop, "1") == [("gold", "tea")]
    assert told(shop, "2") == [("built-in", "mug")]
    assert why(shop, "gold", "2") == [
        "loyalty tier none is not gold",
        "discount codes used include none of them: any of spring is not met",
    ]


# How often


def test_a_customer_is_offered_a_campaign_so_often_in_so_many_days(any_shop: Shop) -> None:
    launch(any_shop, "tea", limits={"offers": 1, "days": 30})
    any_shop.pay("1")
    assert told(any_shop, "1") == [("tea", "tea")]
    any_shop.pay("2")
    any_shop.pay("stranger", customer_ref="c-18")
    assert told(any_shop, "2") == [("built-in", "mug")]
    assert told(any_shop, "stranger") == [("tea", "tea")]
    assert why(any_shop, "tea", "2") == ["offered 1 times within 30 days; 1 is the limit"]

    any_shop.clock.advance(hours=24 * 30)
    any_shop.pay("3")
    assert told(any_shop, "3") == [("tea", "tea")]


def test_who_accepted_is_not_offered_it_again_and_who_declined_is(shop: Shop) -> None:
    launch(shop, "tea", limits={"once_per_customer": True})
    shop.pay("1")
    offering_id = only(shop, "1").decision["id"]
    shop.pay("2")
    assert told(shop, "2") == [("tea", "tea")]

    assert accepting.accept(shop.rt, offering_id, return_url="") is not None
    shop.pay("3")
    assert told(shop, "3") == [("built-in", "mug")]
    assert why(shop, "tea", "3") == ["the customer accepted it before"]


def test_campaigns_of_a_group_exclude_each_other(shop: Shop) -> None:
    launch(shop, "tea", rule=POT, limits={"group": "warm"})
    launch(
        shop, "mug", rule={"sku": {"any": ["tea"]}}, limits={"group": "warm"}, offer={"kind": "fixed", "skus": ["mug"]}
    )
    shop.pay("1")
    shown(shop, "1")
    shop.pay("2", skus=("tea",))

    assert told(shop, "2") == [("built-in", "mug")]
    assert why(shop, "mug", "2") == ["tea of the group warm was offered within 30 days"]


def test_a_campaign_with_a_spent_budget_is_offered_no_more(any_shop: Shop) -> None:
    launch(any_shop, "tea", budget={"units": 1})
    any_shop.pay("1")
    accepting.accept(any_shop.rt, only(any_shop, "1").decision["id"], return_url="")
    any_shop.pay("2")

    assert told(any_shop, "2") == [("built-in", "mug")]
    assert why(any_shop, "tea", "2") == ["1 of 1 units are sold"]


# Switches


def test_the_kill_switch_works_on_the_next_page_of_every_process(any_shop: Shop) -> None:
    any_shop.pay("1")
    any_shop.pay("2")
    first = only(any_shop, "1")
    switching.turn(any_shop.rt, actor="tests", off=True)

    assert shown(any_shop, "2") == ()
    assert [row["reason"] for row in decisions(any_shop, "2")] == ["switched_off"]
    assert accepting.accept(any_shop.rt, first.decision["id"], return_url="") is None
    assert any_shop.rows("charges") == []


def test_in_shadow_mode_everything_is_decided_and_nothing_shown(any_shop: Shop) -> None:
    launch(any_shop, "tea")
    switching.turn(any_shop.rt, actor="tests", shadow=True)
    any_shop.pay()

    assert shown(any_shop) == ()
    (row,) = decisions(any_shop)
    assert (row["outcome"], row["reason"], row["campaign_ref"], row["sku"]) == ("shadowed", "shadow", "tea", "tea")
    assert row["snapshot"]["total"] == 850


# The quote


def test_the_shops_own_quote_is_shown_and_frozen(make_shop: ShopFactory) -> None:
    heard: list[Any] = []

    def quote(order: PaidOrder, lines: list[OfferLine]) -> Quote:
        heard.append((order.order_ref, order.country, [(line.sku, line.quantity, line.ships) for line in lines]))
        return Quote(shipping=Money(300, "gbp"), tax=Money(192, "gbp"), tax_included=True)

    shop = make_shop(ENCORE_QUOTE=quote)
    launch(shop, "tea")
    shop.pay()
    snapshot = only(shop).decision["snapshot"]

    assert heard == [("1042", "GB", [("tea", 1, True)])]
    assert {key: snapshot[key] for key in ("item", "discount", "shipping", "tax", "tax_included", "total")} == {
        "item": 850,
        "discount": 0,
        "shipping": 300,
        "tax": 192,
        "tax_included": True,
        "total": 1150,
    }
    assert only(shop).decision["total_minor"] == 1150
    assert len(heard) == 1


def test_a_quote_runs_in_an_app_context(make_shop: ShopFactory) -> None:
    names: list[str] = []

    def quote(order: PaidOrder, lines: list[OfferLine]) -> Quote:
        names.append(current_app.name)
        return Quote(shipping=Money(0, "gbp"))

    shop = make_shop(ENCORE_QUOTE=quote)
    shop.pay()
    shown(shop)

    assert names == ["host"]


def _raises(order: PaidOrder, lines: list[OfferLine]) -> Any:
    raise RuntimeError("the carrier's server is away")


def _dreams(order: PaidOrder, lines: list[OfferLine]) -> Any:
    return 300


def _foreign(order: PaidOrder, lines: list[OfferLine]) -> Any:
    return Quote(shipping=Money(300, "eur"))


@pytest.mark.parametrize(
    ("quote", "reason"), [(_raises, "quote_failed"), (_dreams, "quote_failed"), (_foreign, "quote_failed")]
)
def test_a_failing_quote_is_no_offer(make_shop: ShopFactory, quote: Any, reason: str) -> None:
    shop = make_shop(ENCORE_QUOTE=quote)
    shop.pay()

    assert shown(shop) == ()
    assert [(row["outcome"], row["reason"]) for row in decisions(shop)] == [("error", reason)]
    assert shop.rt.counts[reason] == 1


def test_a_slow_quote_is_no_offer_and_the_log_says_so(make_shop: ShopFactory) -> None:
    never = threading.Event()

    def quote(order: PaidOrder, lines: list[OfferLine]) -> Quote:
        never.wait(30)
        return Quote(shipping=Money(0, "gbp"))

    shop = make_shop(ENCORE_QUOTE=quote, ENCORE_DECISION_BUDGET_MS=50)
    shop.pay()
    found = shown(shop)
    never.set()

    assert found == ()
    assert [(row["outcome"], row["reason"]) for row in decisions(shop)] == [("error", "quote_timeout")]


def test_a_quote_that_makes_the_total_one_stripe_does_not_take_is_no_offer(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_QUOTE=lambda order, lines: Quote(shipping=Money(99_999_999, "gbp")))
    shop.pay()

    assert shown(shop) == ()
    assert [(row["outcome"], row["reason"]) for row in decisions(shop)] == [("ineligible", "quote_not_chargeable")]


# What it costs


def test_a_page_with_campaigns_costs_what_a_page_without_costs(any_shop: Shop) -> None:
    for number in range(5):
        launch(any_shop, f"tea-{number}", rule=POT)
    launch(
        any_shop,
        "wrap",
        priority=9,
        rule=POT,
        offer={"kind": "bundle", "skus": ["mug", "tea"], "prices": {"gbp": "19.00"}},
    )
    any_shop.pay()
    with statements(any_shop) as first:
        assert told(any_shop) == [("wrap", "mug")]
    with statements(any_shop) as again:
        shown(any_shop)

    assert first == ["SELECT encore_orders", "INSERT encore_decisions", "COMMIT"]
    assert again == ["SELECT encore_orders"]


def test_a_campaign_saved_between_payment_and_page_costs_its_products_and_itself_to_be_read(any_shop: Shop) -> None:
    with any_shop.app.app_context():
        any_shop.encore.catalog.upsert([Product(sku="spoon", title="Spoon", price=Money(300, "gbp"))])
    any_shop.pay()
    launch(any_shop, "spoon", offer={"kind": "fixed", "skus": ["spoon"]})
    with statements(any_shop) as log:
        assert told(any_shop) == [("spoon", "spoon")]

    assert log == [
        "SELECT encore_orders",
        "SELECT encore_switches",
        "SELECT encore_campaigns",
        "SELECT encore_products",
        "INSERT encore_decisions",
        "COMMIT",
    ]


# Preview and explain


def test_a_preview_tells_what_every_campaign_would_say_and_writes_nothing(any_shop: Shop) -> None:
    launch(any_shop, "pots", rule=POT)
    launch(any_shop, "abroad", rule=US, priority=5)
    launch(any_shop, "later", starts_at="2026-04-01T00:00", priority=6)
    launch(any_shop, "general", priority=-1)
    any_shop.pay()
    found = previewing.preview(any_shop.rt, None, "1042")

    assert (found.campaign_ref, found.title, found.total) == ("pots", "Assam tea, 250 g", Money(850, "gbp"))
    assert [(one.ref, one.result.value, one.because) for one in found.asked] == [
        ("later", "window", ("the campaign is scheduled",)),
        ("abroad", "rule", ("country GB is not US",)),
        ("pots", "chosen", ()),
        ("general", "outranked", ("pots spoke first",)),
        ("built-in", "outranked", ("pots spoke first",)),
    ]
    assert any_shop.rows("decisions") == []


def test_a_campaign_is_previewed_before_it_is_saved(shop: Shop) -> None:
    shop.pay()
    draft = {"ref": "new", "name": "New", "offer": {"kind": "fixed", "skus": ["tea"], "discount": {"percent": 50}}}
    found = previewing.preview(shop.rt, draft, "1042")

    assert (found.campaign_ref, found.total) == ("new", Money(425, "gbp"))
    assert campaigning.listed(shop.rt) == []


def test_an_order_that_was_decided_long_ago_can_be_previewed_now(shop: Shop) -> None:
    shop.pay()
    assert told(shop) == [("built-in", "mug")]
    shop.clock.advance(hours=24 * 40)
    launch(shop, "tea")

    assert previewing.preview(shop.rt, None, "1042").campaign_ref == "tea"
    with pytest.raises(previewing.OrderUnknown, match="no order '7'"):
        previewing.preview(shop.rt, None, "7")


def test_a_decision_is_explained_and_made_again_from_its_log_alone(any_shop: Shop) -> None:
    launch(any_shop, "abroad", rule=US, priority=5)
    any_shop.pay()
    shown(any_shop)
    (found,) = explaining.explain(any_shop.rt, "1042") or ()

    assert (found.campaign_ref, found.reason.value, found.is_reproduced) == ("built-in", "chosen", True)
    assert [(one.ref, one.because) for one in found.asked] == [
        ("abroad", ("country GB is not US",)),
        ("built-in", ()),
    ]
    assert explaining.explain(any_shop.rt, "unknown") is None


def test_a_log_that_was_tampered_with_no_longer_leads_to_the_decision(shop: Shop) -> None:
    launch(shop, "abroad", rule=US, priority=5)
    shop.pay()
    shown(shop)
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("""UPDATE encore_decisions SET trace = replace(trace, '"false"', '"true"')"""))
    (found,) = explaining.explain(shop.rt, "1042") or ()

    assert found.is_reproduced is False


# Bad days


def test_the_built_in_offer_stays_when_campaigns_ask_and_the_ranker_failed_and_a_named_product_does_without(
    make_shop: ShopFactory,
) -> None:
    class Broken:
        version = "broken"

        def rank(self, basket: Any, *, k: int, exclude: Any = (), history: Any = ()) -> Any:
            raise RuntimeError("no model today")

    shop = make_shop(ranker=Broken())
    launch(shop, "tea", rule=POT)
    shop.pay("1")
    shop.pay("2", skus=("mug",))

    assert told(shop, "1") == [("tea", "tea")]
    assert told(shop, "2") == []
    assert [(row["outcome"], row["reason"]) for row in decisions(shop, "2")] == [("error", "ranker_failed")]


def test_the_order_page_offers_only_while_fulfilment_can_be_held(any_shop: Shop) -> None:
    page = Placement.ORDER_STATUS
    launch(any_shop, "status", placement="order_status", offer={"kind": "fixed", "skus": ["tea"]})
    any_shop.pay("1")
    any_shop.pay("2")
    assert told(any_shop, "1") == [("built-in", "mug")]
    assert told(any_shop, "1", page=page) == [("built-in", "mug")]
    any_shop.clock.advance(minutes=29)
    assert told(any_shop, "2", page=page) == [("status", "tea")]
    any_shop.pay("3")
    any_shop.clock.advance(minutes=31)
    assert told(any_shop, "3", page=page) == []
    assert [row["reason"] for row in decisions(any_shop, "3")] == ["hold_over"]


def test_an_order_page_without_campaigns_for_it_writes_nothing(shop: Shop) -> None:
    shop.pay()

    assert shown(shop, page=Placement.ORDER_STATUS) == ()
    assert shop.rows("decisions") == []


def test_a_timer_ends_the_offer_really(shop: Shop) -> None:
    launch(shop, "tea", timer_minutes=5)
    shop.pay()
    offered = only(shop)

    assert offered.decision["expires_at"] - offered.decision["decided_at"] == timedelta(minutes=5)
    assert offered.decision["snapshot"]["timer"] is True


def test_deciding_reads_no_clock_of_its_own(shop: Shop) -> None:
    before = time.time()
    shop.pay()

    assert only(shop).decision["decided_at"].timestamp() < before
    assert offering.next_of(shop.rt, only(shop)) is None


# Why


@pytest.mark.parametrize(("support", "why"), [(4, None), (5, "Pot")])
def test_a_product_the_merchant_named_says_why_where_the_shops_orders_say_so(
    make_shop: ShopFactory, support: int, why: str | None
) -> None:
    class Knows:
        version = "knows"

        def rank(self, basket: Any, *, k: int, exclude: Any = (), history: Any = ()) -> Any:
            return [
                Candidate(sku="tea", score=1.0, kind="co_purchase", because_of="pot", support=support, of_orders=380)
            ]

    shop = make_shop(ranker=Knows())
    launch(shop, "tea", rule=POT)
    shop.pay()

    assert only(shop).decision["snapshot"]["because_of_title"] == why
