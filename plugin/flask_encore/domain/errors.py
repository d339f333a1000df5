"""Every refusal Encore speaks of. The docstring of a class is its message when none is given."""

from __future__ import annotations


class EncoreError(Exception):
    """Encore could not do what was asked."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class ConfigurationError(EncoreError):
    """The ENCORE_* configuration is wrong."""


class InvalidInput(EncoreError, ValueError):
    """A value handed to Encore cannot be used."""


class InexactMoney(InvalidInput):
    """An amount is not a whole number of the currency's minor units; Encore refuses to round it."""


class CurrencyMismatch(InvalidInput):
    """Two amounts of different currencies cannot be combined."""


class OrderConflict(EncoreError):
    """This order_ref was already recorded with different content; a paid order never changes."""


class IllegalTransition(EncoreError):
    """A state machine was asked for a move its table forbids; this is a bug, not a shopper's mistake."""


class TrainingBusy(EncoreError):
    """Another training is under way, and one at a time is enough; wait for it to end."""


class GatewayError(EncoreError):
    """The payment provider did not answer as hoped."""


class GatewayUnknown(GatewayError):
    """The request may or may not have been executed: only asking again with GET can tell."""

    def __init__(self, message: str | None = None, *, answer_stored: bool = False) -> None:
        super().__init__(message)
        #: The provider stored this answer under the idempotency key, so repeating the key repeats the answer.
        self.answer_stored = answer_stored


class GatewayBusy(GatewayError):
    """The request was not executed and may be repeated with the same idempotency key."""


class GatewayRefused(GatewayError):
    """The request was understood and will not be executed, now or later."""

    def __init__(self, message: str | None = None, *, code: str = "") -> None:
        super().__init__(message)
        #: The provider's machine-readable code, such as ``resource_missing``.
        self.code = code


class SignatureInvalid(EncoreError):
    """The webhook's signature or body cannot be trusted."""
