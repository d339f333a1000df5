"""One well-chosen post-purchase offer on a Flask shop's thank-you page, charged exactly once.

>>> from flask_encore import Encore, Money, OrderLine, PaidOrder, Product
"""

from flask_encore.domain.charges import Charge, ChargeStatus
from flask_encore.domain.errors import (
    ConfigurationError,
    CurrencyMismatch,
    EncoreError,
    InexactMoney,
    InvalidInput,
    OrderConflict,
)
from flask_encore.domain.events import ChargeEvent, EventKind
from flask_encore.domain.money import Money
from flask_encore.domain.orders import OrderLine, PaidOrder, Product
from flask_encore.domain.prices import OfferLine, Quote
from flask_encore.domain.rights import Actor, Right
from flask_encore.extension import Encore
from flask_encore.services.recording import Recorded

__all__ = [
    "Actor",
    "Charge",
    "ChargeEvent",
    "ChargeStatus",
    "ConfigurationError",
    "CurrencyMismatch",
    "Encore",
    "EncoreError",
    "EventKind",
    "InexactMoney",
    "InvalidInput",
    "Money",
    "OfferLine",
    "OrderConflict",
    "OrderLine",
    "PaidOrder",
    "Product",
    "Quote",
    "Recorded",
    "Right",
]
