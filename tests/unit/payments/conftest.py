"""A Stripe that answers what a test says, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import responses
import stripe
from responses.registries import FirstMatchRegistry

from flask_encore.config import Settings
from flask_encore.payments.stripe_gateway import StripeGateway

KEY = "sk_test_unit"


class _Watched(FirstMatchRegistry):
    """Remembers what nobody expected: to the SDK an unmatched URL is a network fault, so a typo would look like one."""

    def __init__(self) -> None:
        super().__init__()
        self.unexpected: list[str] = []

    def find(self, request: Any) -> tuple[responses.BaseResponse | None, list[str]]:
        found, reasons = super().find(request)
        if found is None:
            self.unexpected.append(f"{request.method} {request.url} ({'; '.join(reasons) or 'no such URL'})")
        return found, reasons


@contextmanager
def only_expected_requests() -> Iterator[responses.RequestsMock]:
    """Stripe for the length of a block. An unexpected request, or an expected one that never came, fails it."""
    with responses.RequestsMock(registry=_Watched, assert_all_requests_are_fired=True) as mock:
        yield mock
        registry = mock.get_registry()
        assert isinstance(registry, _Watched)
        assert registry.unexpected == []


@pytest.fixture
def stripe_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[responses.RequestsMock]:
    monkeypatch.setattr(stripe, "enable_telemetry", False)
    with only_expected_requests() as mock:
        yield mock


@pytest.fixture
def gateway() -> StripeGateway:
    return StripeGateway(Settings(stripe_secret_key=KEY))
