"""The offer machine, pair by pair, and the price block that has to add up."""

from __future__ import annotations

from itertools import product

import pytest

from flask_encore.domain.errors import CurrencyMismatch, IllegalTransition
from flask_encore.domain.money import Money
from flask_encore.domain.offers import NEXT, Candidate, OfferStatus, to
from flask_encore.domain.prices import PriceBlock

LEGAL = {("open", "accepted"), ("open", "declined"), ("open", "expired")}
STATUSES = ("open", "accepted", "declined", "expired")


def test_the_table_speaks_of_every_status() -> None:
    assert [status.value for status in OfferStatus] == list(STATUSES)
    assert set(NEXT) == set(OfferStatus)


@pytest.mark.parametrize(("current", "status"), list(product(STATUSES, STATUSES)))
def test_an_offer_is_answered_once_and_never_again(current: str, status: str) -> None:
    if (current, status) in LEGAL:
        assert to(OfferStatus(current), OfferStatus(status)).value == status
    else:
        with pytest.raises(IllegalTransition, match=f"offer: {current} -> {status}"):
            to(OfferStatus(current), OfferStatus(status))


def pounds(minor_units: int) -> Money:
    return Money(minor_units, "gbp")


def test_a_price_block_adds_up_to_what_is_charged() -> None:
    block = PriceBlock(item=pounds(1290), discount=pounds(129), shipping=pounds(0), total=pounds(1161))
    assert block.total == Money(1161, "gbp")


@pytest.mark.parametrize("total", [1160, 1162, 1290, -1161])
def test_a_price_block_that_does_not_add_up_cannot_be_shown(total: int) -> None:
    with pytest.raises(IllegalTransition, match="does not add up"):
        PriceBlock(item=pounds(1290), discount=pounds(129), shipping=pounds(0), total=pounds(total))


def test_a_price_block_has_one_currency() -> None:
    with pytest.raises(CurrencyMismatch):
        PriceBlock(item=pounds(1290), discount=Money(129, "eur"), shipping=pounds(0), total=pounds(1161))


def test_a_candidate_is_kept_with_its_evidence() -> None:
    candidate = Candidate(
        sku="POT-1",
        score=0.5,
        kind="co_purchase",
        because_of="TEA-1",
        support=41,
        of_orders=380,
        lift=3.2,
        probability=0.21,
        kept_rate=0.95,
    )
    assert candidate.as_json() == {
        "sku": "POT-1",
        "score": 0.5,
        "kind": "co_purchase",
        "because_of": "TEA-1",
        "support": 41,
        "of_orders": 380,
        "lift": 3.2,
        "probability": 0.21,
        "kept_rate": 0.95,
    }
