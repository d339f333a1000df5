"""Who is held out: a keyed hash, so that it can be replayed and nobody can choose their arm."""

from __future__ import annotations

import hashlib
import hmac
from enum import StrEnum

#: Two bytes more than a percent needs: the share is right to 1/65,536 of itself.
_BUCKETS = 1 << 32


class Arm(StrEnum):
    """The two sides of the standing experiment."""

    TREATMENT = "treatment"  #: sees offers
    HOLDOUT = "holdout"  #: never does, so that uplift can be measured


def assign(subject: str, *, salt: bytes, holdout_percent: float) -> Arm:
    """The arm of *subject* (a customer_ref, or the order_ref of a guest). The same arguments give the same arm."""
    digest = hmac.new(salt, subject.encode(), hashlib.sha256).digest()
    bucket = int.from_bytes(digest[:4], "big")
    return Arm.HOLDOUT if bucket < holdout_percent / 100 * _BUCKETS else Arm.TREATMENT
