import pytest

from encore_recommender.dial import by_expected_profit, shortlist

CHANCES = [0.10, 0.08, 0.05, 0.04, 0.01]
MARGINS = [100, 200, 900, 300, 90_000]


def test_at_0_the_likeliest_comes_first_whatever_it_earns() -> None:
    assert by_expected_profit(CHANCES, MARGINS, dial=0.0) == [0, 1, 2, 3, 4]


def test_at_1_the_largest_expected_profit_comes_first() -> None:
    assert by_expected_profit(CHANCES, MARGINS, dial=1.0) == [2, 1, 3, 0, 4]


def test_in_the_middle_a_sale_counts_as_much_as_its_margin() -> None:
    # Typical margin 83/0.27 = 307: worth 23.4 (with the lead of the likeliest), 20.3, 30.2, 12.1.
    assert by_expected_profit(CHANCES, MARGINS, dial=0.5) == [2, 0, 1, 3, 4]


def test_an_oddity_nobody_takes_never_wins_whatever_it_would_earn() -> None:
    assert by_expected_profit([0.10, 0.029], [1, 10**12], dial=1.0) == [0, 1]


def test_profit_chooses_among_the_five_likeliest_only() -> None:
    assert shortlist([0.1, 0.11, 0.1, 0.1, 0.1, 0.1]) == [1, 0, 2, 3, 4]
    assert by_expected_profit([0.1] * 6, [1, 1, 1, 1, 1, 999], dial=1.0)[0] == 0


def test_a_little_more_profit_does_not_displace_the_likeliest() -> None:
    assert by_expected_profit([0.10, 0.10], [100, 114], dial=1.0) == [0, 1]
    assert by_expected_profit([0.10, 0.10], [100, 116], dial=1.0) == [1, 0]


def test_the_currency_does_not_matter() -> None:
    in_yen = [margin * 10_000 for margin in MARGINS]
    for dial in (0.1, 0.3, 0.5, 0.9):
        assert by_expected_profit(CHANCES, in_yen, dial=dial) == by_expected_profit(CHANCES, MARGINS, dial=dial)


@pytest.mark.parametrize("dial", [0.0, 0.5, 1.0])
def test_without_a_margin_the_likeliest_comes_first(dial: float) -> None:
    assert by_expected_profit([0.02, 0.03], [0, 0], dial=dial) == [1, 0]
    assert by_expected_profit([0.02, 0.03], [-500, -1], dial=dial) == [1, 0]


def test_impossible_offers_and_no_offers_are_still_a_list() -> None:
    assert by_expected_profit([0.0, 0.0], [5, 9], dial=1.0) == [0, 1]
    assert by_expected_profit([], [], dial=1.0) == []


@pytest.mark.parametrize("dial", [-0.1, 1.1, float("nan")])
def test_a_dial_out_of_range_is_refused(dial: float) -> None:
    with pytest.raises(ValueError, match="the dial goes from 0 to 1"):
        by_expected_profit([0.1], [1], dial=dial)


def test_a_margin_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="1 chances but 0 margins"):
        by_expected_profit([0.1], [], dial=0.5)
