"""Every refusal says something even when nobody wrote a message."""

from __future__ import annotations

import pytest

from flask_encore.domain import errors

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.EncoreError)]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_the_docstring_is_the_message(kind: type[errors.EncoreError]) -> None:
    assert kind.__doc__
    assert str(kind()) == kind.__doc__.strip()
    assert str(kind("The teapot is gone.")) == "The teapot is gone."


def test_bad_input_is_a_value_error_too() -> None:
    """A host that knows nothing of Encore's errors still catches what its own input caused."""
    assert issubclass(errors.InvalidInput, ValueError)
    assert issubclass(errors.InexactMoney, errors.InvalidInput)
    assert issubclass(errors.CurrencyMismatch, errors.InvalidInput)


def test_the_three_answers_of_a_gateway_can_be_told_apart() -> None:
    kinds = (errors.GatewayUnknown, errors.GatewayBusy, errors.GatewayRefused)
    for kind in kinds:
        assert [other for other in kinds if issubclass(kind, other)] == [kind]
    assert errors.GatewayUnknown().answer_stored is False
    assert errors.GatewayRefused(code="resource_missing").code == "resource_missing"
