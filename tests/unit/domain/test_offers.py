"""The offer machine, pair by pair, and the evidence for a candidate."""

from __future__ import annotations

from itertools import product

import pytest

from flask_encore.domain.errors import IllegalTransition
from flask_encore.domain.offers import NEXT, Candidate, OfferStatus, to

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
