from collections import Counter

import numpy as np
import pytest

from encore_recommender.exploration import Choice, Seen, believed, greedily, thompson

CHANCES = [0.10, 0.09, 0.02, 0.06]
MARGINS = [100, 100, 100, 100]


def of_order(order: int, **changed: object) -> Choice:
    options: dict[str, object] = {"dial": 0.0, "order_ref": f"order {order}"}
    return thompson(CHANCES, MARGINS, **(options | changed))  # type: ignore[arg-type]


def test_the_same_order_is_always_shown_the_same_offer() -> None:
    assert [of_order(i) for i in range(50)] == [of_order(i) for i in range(50)]


def test_another_seed_shows_other_orders_other_offers() -> None:
    assert [of_order(i).shown for i in range(50)] != [of_order(i, seed=1).shown for i in range(50)]


def test_propensities_add_up_and_the_shown_one_is_logged() -> None:
    for order in range(50):
        choice = of_order(order)
        assert sum(choice.propensities) == pytest.approx(1.0, abs=1e-12)
        assert choice.propensity == choice.propensities[choice.shown]


def test_nothing_below_the_floor_of_relevance_is_ever_shown() -> None:
    shown = Counter(of_order(i).shown for i in range(500))
    assert set(shown) == {0, 1, 3}
    assert all(of_order(i).propensities[2] == 0.0 for i in range(50))


def test_everything_above_the_floor_is_shown_now_and_then_however_seldom_it_wins() -> None:
    seen = [Seen(shown=50_000, accepted=5_000), Seen(), Seen(), Seen(shown=50_000, accepted=1_700)]
    choices = [of_order(i, seen=seen) for i in range(500)]
    assert {choice.propensities[3] for choice in choices} == {0.02}
    assert 1 <= sum(choice.shown == 3 for choice in choices) <= 25


def test_offers_are_shown_as_often_as_their_propensities_say() -> None:
    choices = [of_order(i) for i in range(2_000)]
    expected = np.sum([choice.propensities for choice in choices], axis=0)
    counted = np.bincount([choice.shown for choice in choices], minlength=4)
    # Within three standard errors of a share of 2,000.
    assert np.abs(counted - expected).max() < 3 * np.sqrt(2_000) / 2


def test_what_was_accepted_is_shown_more_and_what_was_refused_less() -> None:
    fresh = of_order(1).propensities
    taken = of_order(1, seen=[Seen(), Seen(300, 60), Seen(), Seen()]).propensities
    refused = of_order(1, seen=[Seen(300, 0), Seen(), Seen(), Seen()]).propensities
    assert taken[1] > 0.8 > fresh[1]
    assert refused[0] == 0.0 < fresh[0]


def test_a_firmer_belief_explores_less() -> None:
    assert of_order(1, belief=100_000.0).propensities[0] > 0.9 > of_order(1, belief=10.0).propensities[0]


def test_the_dial_explores_towards_profit() -> None:
    relevant = thompson([0.1, 0.08], [100, 900], dial=0.0, order_ref="a").propensities
    profitable = thompson([0.1, 0.08], [100, 900], dial=1.0, order_ref="a").propensities
    assert relevant[1] < 0.5 < 0.9 < profitable[1]


def test_a_single_candidate_is_shown_for_certain() -> None:
    assert thompson([0.0], [5], dial=0.5, order_ref="a") == Choice(shown=0, propensities=(1.0,))


def test_switched_off_the_best_one_is_shown_for_certain() -> None:
    assert greedily(CHANCES, [1, 1, 1, 900], dial=1.0) == Choice(shown=3, propensities=(0.0, 0.0, 0.0, 1.0))
    assert greedily(CHANCES, [1, 1, 1, 900], dial=0.0).propensity == 1.0


def test_greed_believes_the_model_less_the_more_was_seen() -> None:
    few, many = [Seen(), Seen(20, 5)], [Seen(), Seen(100, 5)]
    assert believed([0.10, 0.08], few) == pytest.approx([0.1, 9 / 70])
    assert greedily([0.10, 0.08], [1, 1], few, dial=0.0).shown == 1
    assert greedily([0.10, 0.08], [1, 1], many, dial=0.0).shown == 0


def test_any_text_is_an_order_ref() -> None:
    assert of_order(0, order_ref="").shown in {0, 1, 3}
    assert of_order(0, order_ref="\ud800 ’; drop table").shown in {0, 1, 3}


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no candidate to show"):
        thompson([], [], dial=0.5, order_ref="a")
    with pytest.raises(ValueError, match="there is no candidate to show"):
        greedily([], [], dial=0.5)
    with pytest.raises(ValueError, match="the dial goes from 0 to 1"):
        thompson([0.1], [1], dial=2.0, order_ref="a")
    with pytest.raises(ValueError, match="1 chances but 2 records of what was seen"):
        thompson([0.1], [1], [Seen(), Seen()], dial=0.5, order_ref="a")
    with pytest.raises(ValueError, match="shown 1 times but accepted 2 times"):
        thompson([0.1], [1], [Seen(1, 2)], dial=0.5, order_ref="a")
    with pytest.raises(ValueError, match="belief counts impressions"):
        thompson([0.1], [1], dial=0.5, order_ref="a", belief=float("nan"))


def test_it_finds_the_better_offer_where_greed_would_stay_with_the_wrong_one() -> None:
    truth, answers = [0.04, 0.12], np.random.default_rng(5)
    seen = [Seen(), Seen()]
    for order in range(1_500):
        shown = thompson([0.10, 0.07], [1, 1], seen, dial=0.0, order_ref=f"{order}").shown
        taken = bool(answers.random() < truth[shown])
        seen[shown] = Seen(seen[shown].shown + 1, seen[shown].accepted + taken)
    assert seen[1].shown > 1_200
