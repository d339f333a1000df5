"""What the shop's views share: ``app.extensions["demo-shop"]``."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app

from flask_encore import Encore
from flask_encore.demo.books import Books
from flask_encore.demo.checkout import Checkout, StripeAccess
from flask_encore.domain.ports import Clock

KEY = "demo-shop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """The parts of one shop."""

    books: Books
    checkout: Checkout
    access: StripeAccess
    encore: Encore
    clock: Clock


def shop() -> Shop:
    """The shop of the current app."""
    found: Shop = current_app.extensions[KEY]
    return found
