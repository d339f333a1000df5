"""Rules in, answers out: true, false or unknown, each with what was seen and a sentence."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_encore.domain.conditions import (
    AmountIs,
    Answer,
    CountIs,
    CustomerIs,
    Has,
    How,
    Known,
    Sample,
    TimeIs,
    WeekdayIs,
    WordIs,
    kind_of,
)
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.facts import FIELDS, FactLine, RuleFacts
from flask_encore.domain.money import Money
from flask_encore.domain.rules import (
    ALWAYS,
    MAX_CONDITIONS,
    MAX_DEPTH,
    AllOf,
    AnyOf,
    Key,
    Not,
    Rule,
    Specificity,
    Trace,
    conditions,
    evaluate,
    from_json,
    keys,
    keys_of,
    replayed,
    specificity,
    to_json,
)

LONDON = ZoneInfo("Europe/London")
TRUE, FALSE, UNKNOWN = Answer.TRUE, Answer.FALSE, Answer.UNKNOWN

TEA = FactLine(sku="tea", quantity=2, category="drinks")
MUG = FactLine(sku="mug-blue", quantity=1, category="kitchen", parent="mug")
GONE = FactLine(sku="gone", quantity=1, in_catalog=False)

#: Saturday 7 March 2026, 18:30 in London.
EVENING = datetime(2026, 3, 7, 18, 30, tzinfo=UTC)


def facts(**known: Any) -> RuleFacts:
    """An order of 12.50 GBP by a guest, of whom nothing is known."""
    order: dict[str, Any] = {
        "total": Money(1250, "gbp"),
        "lines": (TEA, MUG),
        "now": EVENING,
        "zone": LONDON,
        "subject": "order-1",
        "salt": b"salt",
    }
    return RuleFacts(**order | known)


REGULAR: dict[str, Any] = {
    "locale": "de_AT",
    "country": "AT",
    "payment_method": "card",
    "discount_codes": frozenset({"Spring10"}),
    "order_count": 3,
    "last_order_at": EVENING - timedelta(days=10),
    "lifetime_value": (Money(9_999, "gbp"), Money(50, "eur")),
    "bought_skus": frozenset({"tea", "pot"}),
    "bought_categories": frozenset({"drinks"}),
    "loyalty_tier": "gold",
    "tags": frozenset({"vip"}),
}


def gbp(amount: str) -> Money:
    return Money.parse(amount, "gbp")


# One condition


@pytest.mark.parametrize(
    ("condition", "answer", "observed", "sentence"),
    [
        (
            AmountIs(field="order_total", at_least=gbp("20.00")),
            FALSE,
            "12.50 GBP",
            "order total 12.50 GBP is not ≥ 20.00 GBP",
        ),
        (
            AmountIs(field="order_total", at_least=gbp("12.50"), at_most=gbp("12.50")),
            TRUE,
            "12.50 GBP",
            "order total 12.50 GBP is ≥ 12.50 GBP and ≤ 12.50 GBP",
        ),
        (
            AmountIs(field="order_total", at_most=gbp("12.49")),
            FALSE,
            "12.50 GBP",
            "order total 12.50 GBP is not ≤ 12.49 GBP",
        ),
        (
            AmountIs(field="order_total", at_least=Money(1, "eur")),
            UNKNOWN,
            "12.50 GBP",
            "order total 12.50 GBP says nothing about EUR",
        ),
        (
            AmountIs(field="lifetime_value", at_least=gbp("100.00")),
            FALSE,
            "99.99 GBP",
            "lifetime value 99.99 GBP is not ≥ 100.00 GBP",
        ),
        (
            AmountIs(field="lifetime_value", at_most=Money(0, "usd")),
            TRUE,
            "0.00 USD",
            "lifetime value 0.00 USD is ≤ 0.00 USD",
        ),
        (CountIs(field="item_count", at_least=3), TRUE, 3, "item count 3 is ≥ 3"),
        (CountIs(field="order_count", at_most=2), FALSE, 3, "earlier orders 3 is not ≤ 2"),
        (
            CountIs(field="days_since_last_order", at_least=10),
            TRUE,
            10,
            "days since the last order 10 is ≥ 10",
        ),
        (WordIs(field="currency", values=("GBP",)), TRUE, "gbp", "currency gbp is gbp"),
        (WordIs(field="country", values=("de", "ch")), FALSE, "AT", "country AT is not one of DE, CH"),
        (WordIs(field="locale", values=("de",)), TRUE, "de_AT", "locale de_AT is de"),
        (WordIs(field="locale", values=("de-DE", "d")), FALSE, "de_AT", "locale de_AT is not one of de-de, d"),
        (WordIs(field="payment_method", values=("card",)), TRUE, "card", "payment method card is card"),
        (WordIs(field="loyalty_tier", values=("Gold",)), FALSE, "gold", "loyalty tier gold is not Gold"),
        (
            Has(field="sku", how=How.ANY, values=("tea", "pot")),
            TRUE,
            {"tea": 2},
            "products of the order include tea ×2: any of tea, pot is met",
        ),
        (
            Has(field="sku", how=How.ALL, values=("tea", "pot")),
            FALSE,
            {"tea": 2},
            "products of the order include tea ×2: all of tea, pot is not met",
        ),
        (
            Has(field="sku", how=How.ANY, values=("tea",), quantity=3),
            FALSE,
            {"tea": 2},
            "products of the order include tea ×2: any of tea (3 each) is not met",
        ),
        (
            Has(field="category", how=How.NONE, values=("books",)),
            TRUE,
            {},
            "categories of the order include none of them: none of books is met",
        ),
        (
            Has(field="variant_of", how=How.NONE, values=("mug",)),
            FALSE,
            {"mug": 1},
            "parent products of the order include mug ×1: none of mug is not met",
        ),
        (
            Has(field="discount_code", how=How.ANY, values=("SPRING10",)),
            TRUE,
            ["spring10"],
            "discount codes used include spring10: any of spring10 is met",
        ),
        (
            Has(field="bought_sku", how=How.ALL, values=("tea", "pot")),
            TRUE,
            ["tea", "pot"],
            "products bought before include tea, pot: all of tea, pot is met",
        ),
        (
            Has(field="bought_category", how=How.NONE, values=("drinks",)),
            FALSE,
            ["drinks"],
            "categories bought before include drinks: none of drinks is not met",
        ),
        (
            Has(field="tag", how=How.ANY, values=("VIP",)),
            FALSE,
            [],
            "tags of the customer include none of them: any of VIP is not met",
        ),
        (CustomerIs("new"), FALSE, "returning", "customer is returning, not new"),
        (CustomerIs("returning"), TRUE, "returning", "customer is returning"),
        (TimeIs("18:30", "18:31"), TRUE, "18:30", "time 18:30 is from 18:30 until 18:31"),
        (TimeIs("08:00", "18:30"), FALSE, "18:30", "time 18:30 is not from 08:00 until 18:30"),
        (TimeIs("22:00", "06:00"), FALSE, "18:30", "time 18:30 is not from 22:00 until 06:00"),
        (TimeIs("18:00", "06:00"), TRUE, "18:30", "time 18:30 is from 18:00 until 06:00"),
        (WeekdayIs(("sun", "sat")), TRUE, "sat", "weekday sat is one of sat, sun"),
        (WeekdayIs(("mon",)), FALSE, "sat", "weekday sat is not mon"),
        (Known("tag"), TRUE, True, "tags of the customer known"),
        (Known("category"), TRUE, True, "categories of the order known"),
    ],
)
def test_a_condition_answers_with_what_it_saw_and_a_sentence(
    condition: Any, answer: Answer, observed: Any, sentence: str
) -> None:
    assert condition.ask(facts(**REGULAR)) == (answer, observed, sentence)
    assert json.loads(json.dumps(observed)) == observed


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        (AmountIs(field="lifetime_value", at_least=gbp("0.00")), "lifetime value not known"),
        (CountIs(field="order_count", at_least=0), "earlier orders not known"),
        (CountIs(field="days_since_last_order", at_least=0), "days since the last order not known"),
        (WordIs(field="country", values=("GB",)), "country not known"),
        (Has(field="tag", how=How.NONE, values=("vip",)), "tags of the customer not known"),
        (CustomerIs("new"), "whether the customer is new not known"),
    ],
)
def test_what_is_not_known_is_neither_true_nor_false_and_nor_is_its_opposite(condition: Any, sentence: str) -> None:
    guest = facts()
    assert condition.ask(guest) == (UNKNOWN, None, sentence)
    for rule in (condition, Not(condition), AllOf((condition,)), AnyOf((condition, Not(condition)))):
        verdict = evaluate(rule, guest)
        assert (verdict.answer, verdict.applies) == (UNKNOWN, False)
        assert set(verdict.because) == {sentence}


def test_guests_are_reached_by_asking_what_is_known() -> None:
    newcomers = AnyOf((CustomerIs("new"), Not(Known("order_count"))))
    assert evaluate(newcomers, facts()).applies
    assert evaluate(newcomers, facts(order_count=0)).applies
    assert not evaluate(newcomers, facts(order_count=1)).applies


def test_a_customer_without_earlier_orders_has_no_days_since_the_last() -> None:
    for bound in ({"at_least": 0}, {"at_most": 1_000}):
        found = CountIs(field="days_since_last_order", **bound).ask(facts(order_count=0))
        assert found == (FALSE, "never", "days since the last order: there is no earlier order")


@pytest.mark.parametrize(
    ("how", "values", "quantity", "answer"),
    [
        (How.ANY, ("drinks",), 1, TRUE),
        (How.ANY, ("books",), 1, UNKNOWN),
        (How.ANY, ("books",), 2, FALSE),
        (How.ANY, ("drinks",), 3, UNKNOWN),
        (How.ALL, ("drinks", "books"), 1, UNKNOWN),
        (How.NONE, ("drinks",), 1, FALSE),
        (How.NONE, ("books",), 1, UNKNOWN),
        (How.NONE, ("books",), 2, TRUE),
    ],
)
def test_a_product_the_catalogue_does_not_have_may_be_of_any_category(
    how: How, values: tuple[str, ...], quantity: int, answer: Answer
) -> None:
    order = facts(lines=(TEA, MUG, GONE))
    assert Has(field="category", how=how, values=values, quantity=quantity).ask(order).answer is answer
    assert Has(field="sku", how=How.ANY, values=("gone",)).ask(order).answer is TRUE
    assert Known("category").ask(order).answer is FALSE


def test_pieces_of_a_product_add_up_over_the_lines() -> None:
    order = facts(lines=(TEA, replace(TEA, quantity=3)))
    assert Has(field="sku", how=How.ANY, values=("tea",), quantity=5).ask(order).answer is TRUE


@pytest.mark.parametrize(
    ("now", "clock", "day"),
    [
        (datetime(2026, 3, 28, 23, 59, tzinfo=UTC), "23:59", "sat"),
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), "00:59", "sun"),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "02:00", "sun"),  # clocks go forward
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "01:30", "sun"),  # twice, an hour apart
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "01:30", "sun"),
        (datetime(2026, 6, 1, 23, 30, tzinfo=UTC), "00:30", "tue"),
    ],
)
def test_hours_and_weekdays_are_the_shops(now: datetime, clock: str, day: str) -> None:
    assert TimeIs("00:00", "23:59").ask(facts(now=now)).observed == clock
    assert WeekdayIs(("mon",)).ask(facts(now=now)).observed == day


@pytest.mark.parametrize(
    ("last", "days"),
    [
        (datetime(2026, 3, 7, 0, 1, tzinfo=UTC), 0),
        (datetime(2026, 3, 6, 23, 59, tzinfo=UTC), 1),
        (datetime(2025, 3, 7, 12, 0, tzinfo=UTC), 365),
        (datetime(2027, 1, 1, tzinfo=UTC), 0),  # a clock that was wrong
    ],
)
def test_days_since_an_order_are_nights_in_the_shops_zone(last: datetime, days: int) -> None:
    assert facts(last_order_at=last, order_count=1).days_since_last_order == days


def test_a_sample_is_nested_independent_of_others_and_as_large_as_asked() -> None:
    orders = [facts(subject=f"order-{i}") for i in range(4_000)]

    def drawn(percent: int, name: str) -> set[str]:
        return {o.subject for o in orders if Sample(percent, name).ask(o).answer is TRUE}

    assert drawn(0, "autumn") == set() and len(drawn(100, "autumn")) == 4_000
    assert drawn(10, "autumn") < drawn(20, "autumn")
    # 4,000 draws: the standard deviation is 19 of 400, and 13 of 160.
    assert len(drawn(10, "autumn")) == pytest.approx(400, abs=80)
    assert len(drawn(20, "autumn") & drawn(20, "winter")) == pytest.approx(160, abs=55)
    assert drawn(20, "autumn") != {
        o.subject for o in orders if Sample(20, "autumn").ask(replace(o, salt=b"x")).answer is TRUE
    }


# Rules


def test_the_log_says_what_decided_and_keeps_all_that_was_seen() -> None:
    rule = AllOf(
        (
            AmountIs(field="order_total", at_least=gbp("20.00")),
            Has(field="sku", how=How.ANY, values=("tea",)),
            AnyOf((WordIs(field="country", values=("DE",)), CustomerIs("new"))),
        )
    )
    verdict = evaluate(rule, facts(**REGULAR))
    assert not verdict.applies
    assert verdict.because == (
        "order total 12.50 GBP is not ≥ 20.00 GBP",
        "country AT is not DE",
        "customer is returning, not new",
    )
    assert verdict.trace.as_json() == {
        "kind": "all",
        "answer": "false",
        "parts": [
            {
                "kind": "order_total",
                "answer": "false",
                "observed": "12.50 GBP",
                "sentence": "order total 12.50 GBP is not ≥ 20.00 GBP",
            },
            {
                "kind": "sku",
                "answer": "true",
                "observed": {"tea": 2},
                "sentence": "products of the order include tea ×2: any of tea is met",
            },
            {
                "kind": "any",
                "answer": "false",
                "parts": [
                    {"kind": "country", "answer": "false", "observed": "AT", "sentence": "country AT is not DE"},
                    {
                        "kind": "customer",
                        "answer": "false",
                        "observed": "returning",
                        "sentence": "customer is returning, not new",
                    },
                ],
            },
        ],
    }


def test_a_rule_without_conditions_is_true_of_every_order() -> None:
    assert evaluate(ALWAYS, facts()).applies
    assert evaluate(ALWAYS, facts()).because == ()


SKUS = ["tea", "mug-blue", "pot", "gone"]
CATEGORIES = ["drinks", "kitchen", "books"]
listed = {
    "currency": ["gbp", "eur"],
    "country": ["GB", "AT"],
    "locale": ["de", "de-at", "en"],
    "payment_method": ["card", "paypal"],
    "loyalty_tier": ["gold", "silver"],
    "sku": SKUS,
    "category": CATEGORIES,
    "variant_of": ["mug", "shirt"],
    "discount_code": ["spring10", "summer"],
    "bought_sku": SKUS,
    "bought_category": CATEGORIES,
    "tag": ["vip", "b2b"],
}
bounds = st.tuples(st.none() | st.integers(0, 4), st.none() | st.integers(4, 9)).filter(
    lambda low_high: low_high != (None, None)
)
moneys = st.tuples(
    st.sampled_from(["gbp", "eur", "jpy"]), st.none() | st.integers(0, 1250), st.none() | st.integers(1250, 9999)
)


def some(field: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(listed[field]), min_size=1, unique=True).map(tuple)


def amounts(field: str) -> st.SearchStrategy[Any]:
    def made(drawn: tuple[str, int | None, int | None]) -> AmountIs:
        low, high = (None if units is None else Money(units, drawn[0]) for units in drawn[1:])
        return AmountIs(field=field, at_least=low, at_most=high)

    return moneys.filter(lambda drawn: drawn[1:] != (None, None)).map(made)


def counts(field: str) -> st.SearchStrategy[Any]:
    return bounds.map(lambda drawn: CountIs(field=field, at_least=drawn[0], at_most=drawn[1]))


def has(field: str) -> st.SearchStrategy[Any]:
    most = 3 if field in ("sku", "category", "variant_of") else 1
    return st.builds(
        Has, field=st.just(field), how=st.sampled_from(list(How)), values=some(field), quantity=st.integers(1, most)
    )


clock = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda at: f"{at[0]:02}:{at[1]:02}")
leaves: st.SearchStrategy[Any] = st.one_of(
    *map(amounts, ("order_total", "lifetime_value")),
    *map(counts, ("item_count", "order_count", "days_since_last_order")),
    *(
        st.builds(WordIs, field=st.just(field), values=some(field))
        for field in ("currency", "country", "locale", "payment_method", "loyalty_tier")
    ),
    *map(has, ("sku", "category", "variant_of", "discount_code", "bought_sku", "bought_category", "tag")),
    st.sampled_from([CustomerIs("new"), CustomerIs("returning")]),
    st.tuples(clock, clock).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: TimeIs(*pair)),
    st.lists(st.sampled_from(["mon", "sat", "sun"]), min_size=1).map(lambda days: WeekdayIs(tuple(days))),
    st.builds(Sample, percent=st.integers(0, 100), name=st.sampled_from(["autumn", "été"])),
    st.sampled_from([Known(field) for field in FIELDS]),
)
rules: st.SearchStrategy[Rule] = st.recursive(
    leaves,
    lambda parts: st.one_of(
        st.lists(parts, max_size=3).map(lambda found: AllOf(tuple(found))),
        st.lists(parts, min_size=1, max_size=3).map(lambda found: AnyOf(tuple(found))),
        parts.map(Not),
    ),
    max_leaves=8,
)
lines = st.lists(
    st.builds(
        FactLine,
        sku=st.sampled_from(SKUS),
        quantity=st.integers(1, 3),
        category=st.none() | st.sampled_from(CATEGORIES),
        parent=st.none() | st.just("mug"),
    ),
    min_size=1,
    max_size=4,
)
fully_known = st.builds(
    facts,
    total=st.builds(Money, st.sampled_from([0, 1249, 1250, 1251, 9999]), st.sampled_from(["gbp", "eur", "jpy"])),
    lines=lines.map(tuple),
    now=st.integers(0, 365 * 24 * 60).map(lambda minutes: EVENING + timedelta(minutes=minutes)),
    subject=st.sampled_from(["order-1", "c-7"]),
    locale=st.sampled_from(["de", "de_AT", "en-GB"]),
    country=st.sampled_from(["GB", "AT", "DE"]),
    payment_method=st.sampled_from(["card", "klarna"]),
    discount_codes=st.frozensets(st.sampled_from(["Spring10", "other"])),
    order_count=st.integers(1, 5),
    last_order_at=st.integers(-90, 20).map(lambda days: EVENING + timedelta(days=days, hours=3)),
    lifetime_value=st.lists(st.sampled_from([Money(1250, "gbp"), Money(0, "eur"), Money(7, "jpy")]), unique=True).map(
        tuple
    ),
    bought_skus=st.frozensets(st.sampled_from(SKUS)),
    bought_categories=st.frozensets(st.sampled_from(CATEGORIES)),
    loyalty_tier=st.sampled_from(["", "gold"]),
    tags=st.frozensets(st.sampled_from(["vip", "x"])),
)
OPTIONAL = sorted(REGULAR)
forgotten = st.sets(st.sampled_from([*OPTIONAL, "catalogue"]))


def without(known: RuleFacts, names: set[str]) -> RuleFacts:
    """The same order with some facts not known; without the catalogue, nothing but the SKUs of its lines."""
    order = replace(known, **dict.fromkeys(names & set(OPTIONAL)))
    if "catalogue" not in names:
        return order
    return replace(
        order, lines=tuple(FactLine(sku=line.sku, quantity=line.quantity, in_catalog=False) for line in known.lines)
    )


def by_hand(rule: Any, order: RuleFacts) -> bool:
    """What the rule means where everything is known, written another way."""
    if isinstance(rule, AllOf):
        return all(by_hand(part, order) for part in rule.parts)
    if isinstance(rule, AnyOf):
        return any(by_hand(part, order) for part in rule.parts)
    if isinstance(rule, Not):
        return not by_hand(rule.part, order)
    if isinstance(rule, AmountIs | CountIs):
        low, high = (getattr(bound, "minor_units", bound) for bound in (rule.at_least, rule.at_most))
        currency = next((b.currency for b in (rule.at_least, rule.at_most) if isinstance(b, Money)), "")
        today, last = (at.astimezone(LONDON).date() for at in (order.now, order.last_order_at or order.now))
        seen = {
            "order_total": order.total.minor_units,
            "lifetime_value": sum(m.minor_units for m in order.lifetime_value or () if m.currency == currency),
            "item_count": sum(line.quantity for line in order.lines),
            "order_count": order.order_count or 0,
            "days_since_last_order": max((today - last).days, 0),
        }[rule.field]
        return (low is None or low <= seen) and (high is None or seen <= high)
    if isinstance(rule, WordIs):
        tag = str(order.locale).replace("_", "-").lower()
        return {
            "currency": order.total.currency in rule.values,
            "country": order.country in rule.values,
            "locale": not {tag, tag[:2]}.isdisjoint(rule.values),
            "payment_method": order.payment_method in rule.values,
            "loyalty_tier": order.loyalty_tier in rule.values,
        }[rule.field]
    if isinstance(rule, Has):
        held: Counter[Any] = Counter()
        for line in order.lines:
            of_line = {"sku": line.sku, "category": line.category, "variant_of": line.parent}
            held[of_line.get(rule.field)] += line.quantity
        sets = {
            "discount_code": {code.lower() for code in order.discount_codes or ()},
            "bought_sku": order.bought_skus,
            "bought_category": order.bought_categories,
            "tag": order.tags,
        }
        reached = [
            held[v] >= rule.quantity if rule.field not in sets else v in (sets[rule.field] or ()) for v in rule.values
        ]
        return {"any": any(reached), "all": all(reached), "none": not any(reached)}[rule.how]
    local = order.now.astimezone(LONDON)
    if isinstance(rule, TimeIs):
        minutes = [60 * int(at[:2]) + int(at[3:]) for at in (rule.start, rule.until)]
        return (local.hour * 60 + local.minute - minutes[0]) % 1440 < (minutes[1] - minutes[0]) % 1440
    if isinstance(rule, WeekdayIs):
        return local.strftime("%a").lower() in rule.days
    if isinstance(rule, Sample):
        return order.draw(rule.name) < rule.percent
    return rule == CustomerIs("returning") or isinstance(rule, Known)


def comparable(rule: Rule, order: RuleFacts) -> bool:
    """Whether every order total is asked in the order's own currency."""
    asked = [c for c in conditions(rule) if isinstance(c, AmountIs) and c.field == "order_total"]
    return all((c.at_least or c.at_most or order.total).currency == order.total.currency for c in asked)


@given(rule=rules, order=fully_known)
@settings(max_examples=100, deadline=None)
def test_where_everything_is_known_a_rule_means_what_it_says(rule: Rule, order: RuleFacts) -> None:
    if comparable(rule, order):
        assert evaluate(rule, order).answer is Answer.of(by_hand(rule, order))


NUMBER = {FALSE: 0.0, UNKNOWN: 0.5, TRUE: 1.0}


def kleene(rule: Any, order: RuleFacts) -> float:
    """The same joins as the smallest, the largest and the complement of numbers."""
    if isinstance(rule, AllOf | AnyOf):
        found = [kleene(part, order) for part in rule.parts]
        return min(found, default=1.0) if isinstance(rule, AllOf) else max(found)
    return 1.0 - kleene(rule.part, order) if isinstance(rule, Not) else NUMBER[rule.ask(order).answer]


@given(rule=rules, known=fully_known, names=forgotten)
@settings(max_examples=100, deadline=None)
def test_and_or_and_not_are_smallest_largest_and_complement(rule: Rule, known: RuleFacts, names: set[str]) -> None:
    order = without(known, names)
    assert NUMBER[evaluate(rule, order).answer] == kleene(rule, order)


@given(rule=rules, known=fully_known, names=forgotten)
@settings(max_examples=100, deadline=None)
def test_learning_more_never_turns_a_yes_into_a_no(rule: Rule, known: RuleFacts, names: set[str]) -> None:
    # `Known` asks about knowledge itself, so it is the one thing that changes by learning.
    if any(isinstance(condition, Known) for condition in conditions(rule)):
        return
    before = evaluate(rule, without(known, names)).answer
    assert before in (UNKNOWN, evaluate(rule, known).answer)


@given(rule=rules, known=fully_known, names=forgotten)
@settings(max_examples=100, deadline=None)
def test_not_not_is_nothing_and_not_goes_through_and_and_or(rule: Rule, known: RuleFacts, names: set[str]) -> None:
    order = without(known, names)
    answer = evaluate(rule, order).answer
    try:
        twice = Not(Not(rule))
    except InvalidInput:
        return  # nested as deep as a rule may be
    assert evaluate(twice, order).answer is answer
    assert (specificity(twice), keys(twice)) == (specificity(rule), keys(rule))
    if isinstance(rule, AllOf | AnyOf) and rule.parts:
        opposite = (AnyOf if isinstance(rule, AllOf) else AllOf)(tuple(Not(part) for part in rule.parts))
        assert evaluate(opposite, order).answer is evaluate(Not(rule), order).answer
        assert (specificity(opposite), keys(opposite)) == (specificity(Not(rule)), keys(Not(rule)))


@given(rule=rules, known=fully_known, names=forgotten)
@settings(max_examples=100, deadline=None)
def test_a_stored_trace_gives_the_answer_again_and_names_what_decided(
    rule: Rule, known: RuleFacts, names: set[str]
) -> None:
    verdict = evaluate(rule, without(known, names))
    stored = Trace.from_json(json.loads(json.dumps(verdict.trace.as_json())))
    assert replayed(stored) is verdict.answer
    assert stored.because() == verdict.because
    assert [kind_of(condition) for condition in conditions(rule)] == [t.kind for t in leaves_of(stored)]
    assert set(verdict.because) <= {trace.sentence for trace in leaves_of(stored)}


def leaves_of(trace: Trace) -> list[Trace]:
    return (
        [leaf for part in trace.parts for leaf in leaves_of(part)] if trace.kind in ("all", "any", "not") else [trace]
    )


@given(rule=rules)
@settings(max_examples=100, deadline=None)
def test_json_and_back_is_the_same_rule(rule: Rule) -> None:
    assert from_json(json.loads(json.dumps(to_json(rule)))) == rule


# Choosing


@given(rule=rules, known=fully_known, names=forgotten)
@settings(max_examples=100, deadline=None)
def test_a_rule_is_true_only_of_orders_that_hold_one_of_its_keys(rule: Rule, known: RuleFacts, names: set[str]) -> None:
    order, needed = without(known, names), keys(rule)
    if evaluate(rule, order).applies and needed is not None:
        assert needed & keys_of(order)


def sku(*values: str, how: How = How.ANY) -> Has:
    return Has(field="sku", how=how, values=values)


def category(*values: str, how: How = How.ANY) -> Has:
    return Has(field="category", how=how, values=values)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (ALWAYS, None),
        (sku("tea", "pot"), {("sku", "tea"), ("sku", "pot")}),
        (sku("tea", "pot", how=How.ALL), {("sku", "pot")}),
        (sku("tea", how=How.NONE), None),
        (Not(sku("tea", how=How.NONE)), {("sku", "tea")}),
        (Not(sku("tea")), None),
        (AllOf((sku("tea", "pot"), category("drinks"), CustomerIs("new"))), {("category", "drinks")}),
        (AnyOf((sku("tea"), category("drinks"))), {("sku", "tea"), ("category", "drinks")}),
        (AnyOf((sku("tea"), CustomerIs("new"))), None),
        (Has(field="bought_sku", how=How.ANY, values=("tea",)), None),
    ],
)
def test_an_index_needs_the_fewest_keys_of_which_an_order_must_have_one(
    rule: Rule, expected: set[tuple[str, str]] | None
) -> None:
    assert keys(rule) == (None if expected is None else {Key(*key) for key in expected})


def test_product_and_value_is_narrower_than_product_than_category_than_anything() -> None:
    value = AmountIs(field="order_total", at_least=gbp("20.00"))
    ladder: list[Rule] = [
        ALWAYS,
        value,
        AllOf((value, CustomerIs("new"))),
        category("drinks"),
        AllOf((category("drinks"), value)),
        sku("tea"),
        AllOf((sku("tea"), value)),
        AllOf((sku("tea"), category("drinks"))),
        AllOf((sku("tea"), sku("pot"))),
    ]
    assert [specificity(rule) for rule in ladder] == sorted({specificity(rule) for rule in ladder})
    assert specificity(AnyOf((AllOf((sku("tea"), value)), category("drinks")))) == Specificity(groups=1)
    assert specificity(sku("tea", how=How.NONE)) == specificity(Not(sku("tea"))) == Specificity(others=1)


@given(rule=rules, other=rules)
@settings(max_examples=100, deadline=None)
def test_one_more_condition_never_aims_wider(rule: Rule, other: Rule) -> None:
    try:
        both, either = AllOf((rule, other)), AnyOf((rule, other))
    except InvalidInput:
        return  # nested as deep as a rule may be
    assert specificity(either) <= specificity(rule) <= specificity(both)


# Bad input


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "rule: needs an object with one field, its kind, got None."),
        ([], "rule: needs an object with one field, its kind, got []."),
        ({}, "rule: needs an object with one field, its kind, got {}."),
        (
            {"sku": {"any": ["a"]}, "tag": {"any": ["b"]}},
            "rule: needs an object with one field, its kind, got {'sku': ",
        ),
        ({"SKU": {"any": ["a"]}}, "rule: does not know 'SKU'; it knows all, any, not, order_total, "),
        ({"all": {"sku": {}}}, "all: needs a list of at most 64 parts, got {'sku': {}}."),
        ({"any": []}, "any: any needs at least one part: without one it is true of no order."),
        (
            {"all": [{"customer": "new"}, {"not": {"sku": {"any": ["a"], "amount": 2}}}]},
            "all[1].not.sku: does not know 'amount'; it knows any, all, none, quantity.",
        ),
        ({"tag": {"any": ["a"], "quantity": 2}}, "tag: does not know 'quantity'; it knows any, all, none."),
        ({"sku": {"any": ["a"], "all": ["b"]}}, "sku: needs exactly one of any, all and none."),
        ({"sku": {"quantity": 2}}, "sku: needs exactly one of any, all and none."),
        ({"sku": {"any": "tea"}}, "sku: needs a list of texts, got 'tea'."),
        ({"sku": {"any": []}}, "sku: sku needs a list of 1 to 500 texts, got 0."),
        ({"sku": {"any": ["a"] * 501}}, "sku: sku needs a list of 1 to 500 texts, got 501."),
        ({"sku": {"any": [7]}}, "sku: sku has to be a non-empty string, got 7."),
        ({"sku": {"any": ["x" * 201]}}, "sku: sku has to be at most 200 characters without control characters."),
        ({"sku": {"any": ["\u202ea"]}}, "sku: sku has to be at most 200 characters without control characters."),
        ({"sku": {"any": ["\ud800"]}}, "sku: sku has to be at most 200 characters without control characters."),
        ({"sku": {"any": ["a"], "quantity": 0}}, "sku: quantity has to be a whole number from 1 to 1000000, got 0."),
        (
            {"sku": {"any": ["a"], "quantity": True}},
            "sku: quantity has to be a whole number from 1 to 1000000, got True.",
        ),
        (
            {"sku": {"any": ["a"], "quantity": 1.5}},
            "sku: quantity has to be a whole number from 1 to 1000000, got 1.5.",
        ),
        ({"order_total": {"at_least": "20.00"}}, "order_total: currency is missing."),
        ({"order_total": {"currency": "gbp"}}, "order_total: needs at_least, at_most or both, amounts of at least 0."),
        (
            {"order_total": {"at_least": 20.0, "currency": "gbp"}},
            "order_total: at_least has to be an amount as text, such as '20.00', got 20.0.",
        ),
        (
            {"order_total": {"at_least": "20.001", "currency": "gbp"}},
            "order_total: '20.001' cannot be paid exactly in gbp.",
        ),
        ({"order_total": {"at_least": "NaN", "currency": "gbp"}}, "order_total: 'NaN' "),
        (
            {"order_total": {"at_least": "9" * 41, "currency": "gbp"}},
            "order_total: at_least has to be an amount as text",
        ),
        (
            {"order_total": {"at_least": "-1", "currency": "gbp"}},
            "order_total: needs at_least, at_most or both, amounts of at least 0.",
        ),
        (
            {"order_total": {"at_least": "2", "at_most": "1", "currency": "gbp"}},
            "order_total: at_least 2.00 GBP is more than at_most 1.00 GBP.",
        ),
        (
            {"order_total": {"at_least": "2", "currency": "pounds"}},
            "order_total: 'pounds' is not a currency; use a three-letter ISO 4217 code such as 'gbp'.",
        ),
        (
            {"item_count": {"at_least": -1}},
            "item_count: needs at_least, at_most or both, whole numbers from 0 to 1000000.",
        ),
        (
            {"item_count": {"at_least": True}},
            "item_count: needs at_least, at_most or both, whole numbers from 0 to 1000000.",
        ),
        ({"item_count": {"at_least": 3, "at_most": 2}}, "item_count: at_least 3 is more than at_most 2."),
        ({"item_count": 3}, "item_count: needs an object with at_least, at_most, got 3."),
        ({"country": ["Germany"]}, "country: country has to be a two-letter code such as 'GB', got 'Germany'."),
        ({"country": ["ﬁ"]}, "country: country has to be a two-letter code such as 'GB', got 'ﬁ'."),
        ({"country": "DE"}, "country: needs a list of texts, got 'DE'."),
        ({"locale": ["de AT"]}, "locale: locale has to be a language tag such as 'de' or 'de-AT', got 'de AT'."),
        ({"customer": "loyal"}, "customer: customer has to be one of new, returning, got 'loyal'."),
        ({"customer": ["new"]}, "customer: customer has to be one of new, returning, got ['new']."),
        ({"time": {"from": "9:00", "until": "17:00"}}, "time: from has to be a time such as '18:30', got '9:00'."),
        ({"time": {"from": "09:00"}}, "time: until has to be a time such as '18:30', got None."),
        ({"time": {"from": "24:00", "until": "17:00"}}, "time: from has to be a time such as '18:30', got '24:00'."),
        (
            {"time": {"from": "09:00", "until": "09:00"}},
            "time: from and until are both 09:00: leave the condition out for the whole day.",
        ),
        ({"weekday": ["monday"]}, "weekday: weekday has to be one of mon, tue, wed, thu, fri, sat, sun, got 'monday'."),
        ({"sample": {"percent": 101, "name": "a"}}, "sample: percent has to be a whole number from 0 to 100, got 101."),
        ({"sample": {"percent": 10}}, "sample: name has to be a non-empty string, got None."),
        ({"known": "age"}, "known: known has to be one of order_total, "),
    ],
)
def test_what_is_no_rule_is_refused_with_its_path_and_what_would_be_right(value: Any, message: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        from_json(value)
    assert str(refusal.value).startswith(message)
    assert len(str(refusal.value)) < 500


def test_a_rule_nested_too_deep_or_too_long_is_refused_without_running_out_of_stack() -> None:
    deep: Any = {"customer": "new"}
    for _ in range(100_000):
        deep = {"not": deep}
    with pytest.raises(
        InvalidInput, match="^" + "not." * (MAX_DEPTH - 1) + f"not: a rule may be nested {MAX_DEPTH} deep"
    ):
        from_json(deep)
    part = {"all": [{"customer": "new"}] * 33}
    with pytest.raises(InvalidInput, match=f"^any: a rule may have {MAX_CONDITIONS} conditions at most"):
        from_json({"any": [part, part]})
    while isinstance(deep, dict) and "not" in deep:  # taken apart by hand: the interpreter would recurse
        deep = deep["not"]


def test_a_rule_of_the_largest_size_is_read_and_asked() -> None:
    rule: Rule = AllOf((CustomerIs("new"),) * MAX_CONDITIONS)
    for _ in range(MAX_DEPTH - 2):
        rule = Not(rule)
    assert evaluate(from_json(to_json(rule)), facts(order_count=0)).answer is TRUE
    with pytest.raises(InvalidInput, match=f"nested {MAX_DEPTH} deep at most"):
        Not(rule)


wild: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["all", "any", "not", "none", "sku", "country", "quantity", "at_least", "currency", "order_total"]
            )
            | st.text(max_size=3),
            parts,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(value=wild)
@settings(max_examples=100, deadline=None)
def test_any_json_is_a_rule_or_refused(value: Any) -> None:
    try:
        rule = from_json(value)
    except InvalidInput:
        return
    assert from_json(to_json(rule)) == rule
    assert evaluate(rule, facts()).answer in (TRUE, FALSE, UNKNOWN)


def test_a_sentence_names_the_first_few_values_of_a_long_list() -> None:
    asked = Has(field="sku", how=How.ANY, values=tuple(f"sku-{i}" for i in range(500)))
    assert asked.ask(facts()).sentence == (
        "products of the order include none of them: any of sku-0, sku-1, sku-2, sku-3, sku-4 and 495 more is not met"
    )


def test_the_shops_secret_is_not_shown() -> None:
    assert "salt" not in repr(facts())
