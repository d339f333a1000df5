"""Who is held out and who sees which variant: a keyed hash, so that it can be replayed and nobody can choose."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from enum import StrEnum
from math import log

from flask_encore.domain.errors import InvalidInput

#: Two bytes more than a percent needs: the share is right to 1/65,536 of itself.
_BUCKETS = 1 << 32

#: Weights are whole basis points, and these are all of them.
ALL = 10_000


class Arm(StrEnum):
    """The two sides of the standing experiment."""

    TREATMENT = "treatment"  #: sees offers
    HOLDOUT = "holdout"  #: never does, so that uplift can be measured


def assign(subject: str, *, salt: bytes, holdout_percent: float) -> Arm:
    """The arm of *subject* (a customer_ref, or the order_ref of a guest). The same arguments give the same arm."""
    bucket = int.from_bytes(_hash(subject, salt)[:4], "big")
    return Arm.HOLDOUT if bucket < holdout_percent / 100 * _BUCKETS else Arm.TREATMENT


def variant_of(subject: str, *, salt: bytes, weights: Mapping[str, int]) -> str:
    """The variant of *subject* in one experiment: the holdout first, then a race between the variants.

    Each variant draws a time from (salt, variant, subject), exponential with its weight as rate; the first one home
    wins, which it does with its share of the weights. What follows from that when weights change:

    - The holdout is decided before and apart. A larger one keeps everybody who was in the smaller one and takes from
      the variants in proportion.
    - A customer moves from one variant to another only if the other's weight grew in proportion to the first one's. So
      nobody moves between variants that keep their proportions, and the order they are listed in does not matter.
    - A new variant is one whose weight grows from 0, an ended one goes back to 0.

    A *running* experiment should change nothing all the same: customers who move have seen both, and
    `domain.sample_ratio` expects one set of weights. Analyse by the arm first logged.

    Args:
        subject: A customer_ref, or the order_ref of a guest.
        salt: The experiment's own, so that two experiments deal independently.
        weights: Basis points, 10,000 in all; the key ``"holdout"`` is the holdout's.

    Raises:
        InvalidInput: If the weights are not whole, not 10,000 in all, or negative, or a variant has no name.
    """
    checked = checked_weights(weights)
    held_out = checked.get(Arm.HOLDOUT, 0)
    if assign(subject, salt=salt, holdout_percent=held_out / 100) is Arm.HOLDOUT:
        return Arm.HOLDOUT.value
    racing = {name: weight for name, weight in checked.items() if weight and name != Arm.HOLDOUT}
    return min(racing, key=lambda name: (_time(name, subject, salt) / racing[name], name))


def checked_weights(weights: Mapping[str, int]) -> Mapping[str, int]:
    """*weights* as they are.

    Raises:
        InvalidInput: If they are not whole, not 10,000 in all, or negative, or a variant has no name.
    """
    if any(type(weight) is not int or weight < 0 for weight in weights.values()):
        raise InvalidInput("Weights are whole basis points from 0 to 10,000; 4,500 is 45 %.")
    if sum(weights.values()) != ALL:
        raise InvalidInput(f"Weights are 10,000 basis points in all, got {sum(weights.values()):,}.")
    if not all(name and "\0" not in name for name in weights):
        raise InvalidInput("Every variant has a name.")
    return weights


def _hash(message: str, salt: bytes) -> bytes:
    return hmac.new(salt, message.encode(), hashlib.sha256).digest()


def _time(name: str, subject: str, salt: bytes) -> float:
    """An exponential draw of rate 1; the name stands first, so that no reference can imitate another variant's."""
    draw = int.from_bytes(_hash(f"{name}\0{subject}", salt)[:6], "big")
    # Never 0 or 1: half a step is added to one of 2^48 steps, which a float holds exactly.
    return -log((draw + 0.5) / (1 << 48))
