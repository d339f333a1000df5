"""What an API version no longer takes, and what it does not take yet."""

from __future__ import annotations

import re

from flask_encore.testing.stripe_simulator.errors import Json, invalid

#: From this version (dahlia) on, ``allowed_payment_method_types`` narrows the dashboard's methods.
_ALLOWED_TYPES_ADDED_IN = "2026-07-29"

#: From this version (endive) on, ``payment_method_types`` is an answer and not a parameter.
_TYPES_REMOVED_IN = "2026-09-30"

_NOT_WITH_ALLOWED = (
    "automatic_payment_methods",
    "excluded_payment_method_types",
    "payment_method_configuration",
    "payment_method_types",
)

_WITH_TYPES = re.compile(r"/v1/payment_intents(/[^/]+(/confirm)?)?|/v1/setup_intents(/[^/]+)?|/v1/checkout/sessions")


def check(path: str, params: Json, *, version: str) -> None:
    """Refuse what the version asked for does not take.

    Raises:
        StripeError: 400 ``payment_method_types_no_longer_supported``, ``parameter_unknown``, or two
            parameters that exclude each other.
    """
    if not _WITH_TYPES.fullmatch(path):
        return
    if "payment_method_types" in params and version[:10] >= _TYPES_REMOVED_IN:
        raise invalid(
            f"The payment_method_types parameter is no longer supported in API version {version}. Use "
            "automatic_payment_methods, or allowed_payment_method_types to name them.",
            param="payment_method_types",
            code="payment_method_types_no_longer_supported",
        )
    allowed = "allowed_payment_method_types"
    if allowed not in params:
        return
    if version[:10] < _ALLOWED_TYPES_ADDED_IN:
        raise invalid(f"Received unknown parameter: {allowed}", param=allowed, code="parameter_unknown")
    for other in _NOT_WITH_ALLOWED:
        if other in params:
            raise invalid(f"You may only specify one of these parameters: {other}, {allowed}.", param=allowed)
