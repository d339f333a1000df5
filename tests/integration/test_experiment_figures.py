"""An experiment's figures: equal to a recount by hand, silent with a mismatch, and quiet where nothing differs."""

from __future__ import annotations

import pytest
from campaigns import launch, only, shown
from conftest import Shop
from experiments import begin, discounts, exposed, for_everybody, recounted
from money import take

from flask_encore import Product
from flask_encore.domain.experiment import Estimate, Lack, Shortage
from flask_encore.domain.money import Money
from flask_encore.services import experiment_figures, recording, refunding
from flask_encore.store import charges as charge_table


def test_figures_equal_a_recount_of_the_raw_rows(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea")
    launch(shop, "gone", status="draft", offer={"kind": "fixed", "skus": ["vanished"]})
    variants = [
        {"name": "as it is", "weight": 4_000},
        {"name": "nothing", "weight": 4_000, "campaign": "gone"},
    ]
    saved = begin(shop, varies="campaign", variants=variants, holdout=2_000)
    for number in range(24):
        ref = f"o-{number:02}"
        shop.pay(ref, customer_ref=f"c-{number % 16}" if number % 5 else None, total=Money(3_400 + 10 * number, "gbp"))
        for one in shown(shop, ref)[: number % 3]:
            assert take(shop, one.decision["id"]) == "charged"
        shop.clock.advance(seconds=60)
    first = shop.rows("charges")[0]["id"]
    with shop.rt.db.read() as connection:
        charge = charge_table.find(connection, first)
    assert charge is not None
    refunding.refund(shop.rt, charge, actor="anna")

    found = experiment_figures.figures(shop.rt, saved.experiment)
    [gbp] = found.currencies
    expected = recounted(shop)
    assert {name for _, name in expected} == {"as it is", "nothing", "holdout"}
    assert {("gbp", one.name): one.arm for one in gbp.variants} == expected
    assert found.sample is not None
    assert found.sample.counts == {name: arm.customers for (_, name), arm in expected.items()}
    assert {one.name: (one.shown, one.accepted, one.kept) for one in gbp.variants if one.name == "holdout"} == {
        "holdout": (0, 0, 0)
    }
    accepted = len(shop.rows("charges"))
    assert sum(one.accepted for one in gbp.variants) == accepted
    assert sum(one.kept for one in gbp.variants) == accepted - 1
    assert all(isinstance(one.mean, Shortage) for one in gbp.variants)
    assert [(one.comparison.variant, one.comparison.baseline) for one in gbp.comparisons] == [("nothing", "as it is")]
    assert gbp.against_holdout is not None
    assert gbp.against_holdout.comparison.variant == "as it is"


def test_currencies_are_told_apart(any_shop: Shop) -> None:
    shop = any_shop
    with shop.app.app_context():
        shop.encore.catalog.upsert([Product(sku="tee", title="Assam", price=Money(990, "eur"), stock=5)])
    launch(shop, "tea", offer={"kind": "fixed", "skus": ["tea", "tee"]})
    saved = begin(shop, variants=for_everybody(copy={"en": {"headline": "Hello"}}))
    shop.pay("1")
    shop.pay("2", total=Money(9_000, "eur"))
    assert [only(shop, ref).decision["sku"] for ref in ("1", "2")] == ["tea", "tee"]
    found = experiment_figures.figures(shop.rt, saved.experiment)
    told = [(one.currency, [(each.name, each.arm.value) for each in one.variants]) for one in found.currencies]
    assert told == [
        ("eur", [("as it is", 0), ("new", 9_000)]),
        ("gbp", [("as it is", 0), ("new", 3_400)]),
    ]


def test_before_the_first_order_there_is_nothing_and_no_mismatch(shop: Shop) -> None:
    launch(shop, "tea")
    found = experiment_figures.figures(shop.rt, begin(shop).experiment)
    assert (found.currencies, found.sample, found.is_mismatch, found.is_counted) == ((), None, False, True)


def test_with_a_mismatch_no_result_is_told(shop: Shop) -> None:
    launch(shop, "tea")
    saved = begin(shop, varies="discount", variants=discounts(10, 20), baseline="10 %")
    exposed(shop, [(f"c-{n}", "10 %" if n % 3 else "20 %", 800 if n % 2 else 0) for n in range(900)])
    found = experiment_figures.figures(shop.rt, saved.experiment)
    assert found.is_mismatch
    [gbp] = found.currencies
    assert (gbp.comparisons, gbp.against_holdout) == ((), None)
    assert {one.name: one.arm.customers for one in gbp.variants} == {"10 %": 600, "20 %": 300}


def test_with_enough_orders_the_difference_has_an_interval_and_says_what_is_missing(shop: Shop) -> None:
    launch(shop, "tea")
    saved = begin(shop, varies="discount", variants=discounts(10, 20), baseline="10 %")
    exposed(
        shop,
        [(f"c-{n}", "10 %" if n % 2 else "20 %", 0 if n % 8 > 1 + 4 * (n % 2 == 0) else 800) for n in range(2_000)],
    )
    [gbp] = experiment_figures.figures(shop.rt, saved.experiment).currencies
    baseline, other = sorted(gbp.variants, key=lambda one: not one.is_baseline)
    [judged] = gbp.comparisons
    result, any_day = judged.comparison.result, judged.comparison.any_day
    assert isinstance(result, Estimate)
    assert any_day is not None
    assert any_day.low < result.value < any_day.high
    assert (result.currency, result.orders) == ("gbp", 2_000)
    assert isinstance(baseline.mean, Estimate)
    assert judged.worth_minor == round(baseline.mean.value / 100)
    assert judged.more_orders is not None
    assert baseline.interval is not None
    assert baseline.interval.low < baseline.mean.value < baseline.interval.high
    assert other.kept_rate.interval is not None


def test_too_few_buyers_are_said(shop: Shop) -> None:
    launch(shop, "tea")
    saved = begin(shop, varies="discount", variants=discounts(10, 20), baseline="10 %")
    exposed(shop, [(f"c-{n}", "10 %" if n % 2 else "20 %", 800 if n < 20 else 0) for n in range(600)])
    [gbp] = experiment_figures.figures(shop.rt, saved.experiment).currencies
    [judged] = gbp.comparisons
    assert isinstance(judged.comparison.result, Shortage)
    assert judged.comparison.result.lack is Lack.FEW_BUYERS
    assert judged.more_orders == judged.comparison.result.more_orders


def test_where_nothing_differs_the_real_road_deals_no_mismatch(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """An A/A test through recording and deciding; the salt is fixed, so it is the same every time."""
    launch(shop, "tea")
    variants = [{"name": "a", "weight": 4_500}, {"name": "b", "weight": 4_500}]
    saved = begin(shop, variants=variants, baseline="a", holdout=1_000)
    intent = shop.stripe.paid_intent(amount=3_400, currency="gbp")
    known = recording.verify(shop.rt, intent["id"], Money(3_400, "gbp"))
    assert known.ineligible_reason == ""
    monkeypatch.setattr(recording, "verify", lambda *_: known)  # asking Stripe takes most of the time
    for number in range(110):
        ref = f"o-{number}"
        shop.pay(ref, customer_ref=f"c-{number}", intent={"id": f"pi_{number}"})
        shown(shop, ref)
    found = experiment_figures.figures(shop.rt, saved.experiment)
    assert found.sample is not None
    assert sum(found.sample.counts.values()) == 110
    assert found.sample.p_once > 0.05
    assert not found.is_mismatch
