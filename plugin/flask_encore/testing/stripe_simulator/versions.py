"""What an API version no longer takes."""

from __future__ import annotations

import re

from flask_encore.testing.stripe_simulator.errors import Json, invalid

#: From this version (endive) on, ``payment_method_types`` is an answer and not a parameter.
_TYPES_REMOVED_IN = "2026-09-30"

_LOST_TYPES = re.compile(r"/v1/payment_intents(/[^/]+(/confirm)?)?|/v1/setup_intents(/[^/]+)?|/v1/checkout/sessions")


def check(path: str, params: Json, *, version: str) -> None:
    """Refuse parameters that the version asked for has removed.

    Raises:
        StripeError: 400 ``payment_method_types_no_longer_supported``.
    """
    if "payment_method_types" in params and version[:10] >= _TYPES_REMOVED_IN and _LOST_TYPES.fullmatch(path):
        raise invalid(
            f"The payment_method_types parameter is no longer supported in API version {version}. Use "
            "automatic_payment_methods, or allowed_payment_method_types to name them.",
            param="payment_method_types",
            code="payment_method_types_no_longer_supported",
        )
