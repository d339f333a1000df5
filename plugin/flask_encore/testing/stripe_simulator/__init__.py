"""A stateful, loopback-only Stripe for tests and demos."""

from flask_encore.testing.stripe_simulator.cards import TEST_CARDS, TestCard
from flask_encore.testing.stripe_simulator.errors import StripeError
from flask_encore.testing.stripe_simulator.simulator import StripeSimulator

__all__ = ["TEST_CARDS", "StripeError", "StripeSimulator", "TestCard"]
