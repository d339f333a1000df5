"""Whether a model may go live: enough orders, and not worse than the best-sellers beyond luck."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest

from encore_recommender.evaluation import Query
from encore_recommender.judging import judge

#: Forty orders of a tool and its part, each asked for both.
ASKED = [
    Query(basket=(shown,), exclude=(shown,), hidden=hidden, order=n)
    for n in range(40)
    for shown, hidden in ((f"tool {n}", f"part {n}"), (f"part {n}", f"tool {n}"))
]


def knowing(basket: Sequence[str], exclude: Collection[str], k: int) -> Sequence[str]:
    kind, number = basket[0].split()
    return [f"{'part' if kind == 'tool' else 'tool'} {number}"]


def ignorant(basket: Sequence[str], exclude: Collection[str], k: int) -> Sequence[str]:
    return ["hammer"]


def lucky_once(basket: Sequence[str], exclude: Collection[str], k: int) -> Sequence[str]:
    return ["part 7"]


def test_a_model_ahead_of_the_best_sellers_may_go_live() -> None:
    verdict = judge(knowing, ignorant, ASKED, baskets=200)
    assert (verdict.questions, verdict.lead, verdict.low, verdict.high, verdict.doubt) == (80, 1.0, 1.0, 1.0, "")


def test_a_model_behind_them_beyond_luck_may_not() -> None:
    verdict = judge(ignorant, knowing, ASKED, baskets=200)
    assert verdict.lead == -1.0
    assert verdict.doubt == ("it is worse than the best-sellers on the newest orders, by 1.000 to 1.000 of NDCG@10")


def test_a_model_behind_them_by_one_lucky_question_may() -> None:
    verdict = judge(ignorant, lucky_once, ASKED, baskets=200)
    assert verdict.lead == pytest.approx(-1 / 80)
    assert verdict.high == 0.0
    assert verdict.doubt == ""


def test_a_model_of_few_orders_may_not_however_good() -> None:
    assert judge(knowing, ignorant, ASKED, baskets=99).doubt == (
        "it learned from 99 orders of two products or more, and fewer than 100 cannot show whether it beats the "
        "best-sellers"
    )
    assert judge(knowing, ignorant, ASKED, baskets=1).doubt.startswith("it learned from 1 order of two products ")
    assert judge(knowing, ignorant, ASKED, baskets=100).doubt == ""


def test_without_a_question_nothing_is_known() -> None:
    verdict = judge(knowing, ignorant, [], baskets=200)
    assert (verdict.questions, verdict.lead, verdict.low, verdict.high, verdict.doubt) == (0, 0.0, 0.0, 0.0, "")


def test_two_orders_of_the_same_products_are_two_witnesses() -> None:
    asked = [
        Query(basket=(shown,), exclude=(shown,), hidden=hidden, order=n)
        for n, (shown, hidden) in enumerate([("tool 7", "part 7"), ("part 7", "tool 7")] * 20)
    ]
    verdict = judge(lucky_once, ignorant, asked, baskets=200)
    assert verdict.lead == 0.5
    assert 0.3 < verdict.low < 0.4 and 0.6 < verdict.high < 0.7
