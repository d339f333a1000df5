"""Shipped test doubles: public, documented, used by our own tests and by a merchant's."""

from flask_encore.testing.doubles import FixedRanker, FrozenClock
from flask_encore.testing.stripe_simulator import StripeSimulator

__all__ = ["FixedRanker", "FrozenClock", "StripeSimulator"]
