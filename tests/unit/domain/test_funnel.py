"""Counts in, steps, leaks, rates and revenue out."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.funnel import (
    LEAKS_AFTER,
    Facts,
    Funnel,
    Group,
    Leak,
    Rate,
    Step,
    funnels,
    wilson,
    without_offer,
)
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Outcome, Reason


def facts(**known: Any) -> Facts:
    return Facts(**{"outcome": Outcome.OFFERED, "reason": Reason.CHOSEN} | known)


def group(decisions: int, *, currency: str = "gbp", charged: int = 0, refunded: int = 0, **known: Any) -> Group:
    return Group(
        currency=currency,
        facts=facts(**known),
        decisions=decisions,
        charged_minor=charged,
        refunded_minor=refunded,
    )


LEAK_OF = [
    ({"outcome": Outcome.HELD_OUT, "reason": Reason.HOLDOUT}, Leak.HELD_OUT),
    ({}, Leak.NOT_SEEN),
    ({"expired": True}, Leak.NOT_SEEN),
    ({"seen": True}, Leak.OPEN),
    ({"seen": True, "expired": True}, Leak.EXPIRED),
    ({"declined": True, "expired": True}, Leak.DECLINED),
    ({"sold_out": True}, Leak.SOLD_OUT),
    ({"status": ChargeStatus.CLAIMED}, Leak.UNKNOWN),
    ({"status": ChargeStatus.INTENT}, Leak.UNKNOWN),
    ({"status": ChargeStatus.CONFIRMING}, Leak.UNKNOWN),
    ({"status": ChargeStatus.PROCESSING}, Leak.UNKNOWN),
    ({"status": ChargeStatus.UNKNOWN}, Leak.UNKNOWN),
    ({"status": ChargeStatus.ACTION_REQUIRED}, Leak.IN_CHECK),
    ({"status": ChargeStatus.FAILED, "failure_code": "card_declined"}, Leak.BANK_SAID_NO),
    ({"status": ChargeStatus.CANCELED, "attempted": True, "failure_code": "card_declined"}, Leak.BANK_SAID_NO),
    ({"status": ChargeStatus.CANCELED, "attempted": True}, Leak.CHECK_ABANDONED),
    ({"status": ChargeStatus.CANCELED, "failure_code": "abandoned"}, Leak.CANCELED),
    ({"status": ChargeStatus.SUCCEEDED}, None),
    ({"status": ChargeStatus.REFUNDING}, Leak.REFUNDING),
    ({"status": ChargeStatus.REFUNDED}, Leak.REFUNDED),
    ({"status": ChargeStatus.REFUNDED, "undone": True}, Leak.UNDONE),
    ({"status": ChargeStatus.DISPUTED}, Leak.DISPUTED),
    ({"outcome": Outcome.INELIGIBLE, "reason": Reason.NO_CUSTOMER}, None),
    ({"outcome": Outcome.ERROR, "reason": Reason.RANKER_FAILED}, None),
]


@pytest.mark.parametrize(("known", "leak"), LEAK_OF)
def test_every_decision_leaves_the_funnel_at_one_place_or_stays(known: dict[str, Any], leak: Leak | None) -> None:
    assert facts(**known).leak is leak


def test_the_table_above_knows_every_leak_and_every_status() -> None:
    assert {leak for _, leak in LEAK_OF} == {*Leak, None}
    assert {known.get("status") for known, _ in LEAK_OF} == {*ChargeStatus, None}


def test_every_leak_stands_between_exactly_two_steps() -> None:
    assert Counter(leak for leaks in LEAKS_AFTER.values() for leak in leaks) == Counter(Leak)


def test_a_charge_outranks_a_no_and_a_no_outranks_time() -> None:
    assert facts(declined=True, expired=True, status=ChargeStatus.SUCCEEDED).leak is None
    assert facts(declined=True, sold_out=True, expired=True).leak is Leak.DECLINED


def test_an_answer_counts_as_shown_although_the_page_never_said_so() -> None:
    [funnel] = funnels([group(1, declined=True), group(1, sold_out=True), group(1, status=ChargeStatus.CLAIMED)])
    assert funnel.counts[Step.SHOWN] == 3


def test_each_step_is_the_one_before_it_less_its_leaks() -> None:
    [funnel] = funnels(
        [
            group(100, outcome=Outcome.HELD_OUT, reason=Reason.HOLDOUT),
            group(300),
            group(400, seen=True, declined=True),
            group(120, seen=True, status=ChargeStatus.CANCELED, failure_code="card_declined", attempted=True),
            group(30, seen=True, status=ChargeStatus.REFUNDED, charged=30_000),
            group(50, seen=True, status=ChargeStatus.SUCCEEDED, charged=50_000),
            group(77, outcome=Outcome.INELIGIBLE, reason=Reason.NO_CUSTOMER),
        ]
    )

    assert funnel.counts == {
        Step.ELIGIBLE: 1000,
        Step.SHOWN: 600,
        Step.ACCEPTED: 200,
        Step.CHARGED: 80,
        Step.KEPT: 50,
    }
    assert funnel.leaks_after(Step.ELIGIBLE) == [(Leak.NOT_SEEN, 300), (Leak.HELD_OUT, 100)]
    assert funnel.leaks_after(Step.SHOWN) == [(Leak.DECLINED, 400)]
    assert funnel.held_out == 100
    assert (funnel.conversion_rate, funnel.kept_rate) == (Rate(200, 600), Rate(50, 600))


def test_net_is_what_stayed_after_refunds_undo_and_disputes() -> None:
    [funnel] = funnels(
        [
            group(3, status=ChargeStatus.SUCCEEDED, charged=3000, refunded=250),
            group(1, status=ChargeStatus.REFUNDED, charged=1161, refunded=1161),
            group(1, status=ChargeStatus.REFUNDING, charged=900),
            group(1, status=ChargeStatus.DISPUTED, charged=700, refunded=100),
            group(1, status=ChargeStatus.FAILED, failure_code="card_declined", charged=5000),
        ]
    )

    assert funnel.gross == Money(5761, "gbp")
    assert funnel.refunded == Money(2311, "gbp")
    assert funnel.disputed == Money(700, "gbp")
    assert funnel.net == Money(2750, "gbp")


def test_currencies_are_never_added_up() -> None:
    found = funnels(
        [
            group(1, currency="eur", status=ChargeStatus.SUCCEEDED, charged=500),
            group(2, currency="gbp", status=ChargeStatus.SUCCEEDED, charged=700),
            group(9, currency="jpy", outcome=Outcome.ERROR, reason=Reason.RANKER_FAILED),
        ]
    )
    assert [(funnel.currency, funnel.counts[Step.KEPT], funnel.gross) for funnel in found] == [
        ("gbp", 2, Money(700, "gbp")),
        ("eur", 1, Money(500, "eur")),
    ]


def test_without_an_eligible_order_there_is_no_funnel() -> None:
    assert funnels([]) == []
    assert funnels([group(3, outcome=Outcome.INELIGIBLE, reason=Reason.NO_MODEL)]) == []


def test_reasons_for_no_offer_are_counted_most_frequent_first() -> None:
    groups = [
        group(5),
        group(2, outcome=Outcome.ERROR, reason=Reason.RANKER_TIMEOUT),
        group(3, outcome=Outcome.INELIGIBLE, reason=Reason.NO_CUSTOMER),
        group(4, outcome=Outcome.INELIGIBLE, reason=Reason.NO_CUSTOMER, currency="eur"),
    ]
    assert without_offer(groups) == [
        (Outcome.INELIGIBLE, Reason.NO_CUSTOMER, 7),
        (Outcome.ERROR, Reason.RANKER_TIMEOUT, 2),
    ]


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # As scipy.stats.binomtest(successes, trials).proportion_ci(method="wilson") has it.
        (10, 100, 0.055229, 0.174366),
        (0, 100, 0.0, 0.036993),
        (100, 100, 0.963007, 1.0),
        (1, 1, 0.206549, 1.0),
        (500, 1000, 0.46907, 0.53093),
    ],
)
def test_the_interval_is_wilsons(successes: int, trials: int, low: float, high: float) -> None:
    interval = wilson(successes, trials)
    assert (round(interval.low, 6), round(interval.high, 6)) == (low, high)


@pytest.mark.parametrize(("successes", "trials"), [(1, 0), (0, 0), (-1, 5), (6, 5)])
def test_what_is_no_share_has_no_interval(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="is not a rate"):
        wilson(successes, trials)


def test_ninety_nine_shown_orders_are_not_enough_for_a_rate_and_a_hundred_are() -> None:
    few, enough = Rate(10, 99), Rate(10, 100)
    assert (few.share, few.interval) == (None, None)
    assert enough.share == 0.1
    assert enough.interval is not None


KNOWN = st.builds(
    facts,
    outcome=st.sampled_from(Outcome),
    seen=st.booleans(),
    declined=st.booleans(),
    sold_out=st.booleans(),
    expired=st.booleans(),
    status=st.none() | st.sampled_from(ChargeStatus),
    failure_code=st.sampled_from(["", "card_declined"]),
    attempted=st.booleans(),
    undone=st.booleans(),
)
GROUPS = st.lists(
    st.builds(
        Group,
        currency=st.sampled_from(["gbp", "jpy"]),
        facts=KNOWN,
        decisions=st.integers(1, 1000),
        charged_minor=st.integers(0, 10**9),
        refunded_minor=st.integers(0, 10**9),
    )
)


@given(GROUPS)
def test_whatever_happened_no_order_is_lost_and_no_step_is_wider_than_the_one_before(groups: list[Group]) -> None:
    def check(funnel: Funnel) -> None:
        numbers = [funnel.counts[step] for step in Step]
        assert numbers == sorted(numbers, reverse=True)
        assert min(numbers) >= 0
        assert funnel.counts[Step.KEPT] + sum(funnel.leaks.values()) == funnel.counts[Step.ELIGIBLE]
        assert Money(0, funnel.currency) <= funnel.net <= funnel.gross

    for funnel in funnels(groups):
        check(funnel)
