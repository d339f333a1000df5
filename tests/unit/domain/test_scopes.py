"""Scopes: what a token may be used for."""

from __future__ import annotations

import pytest

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.scopes import Scope, checked_scopes


def test_these_are_the_scopes() -> None:
    assert [scope.value for scope in Scope] == [
        "products:read",
        "products:write",
        "orders:read",
        "orders:write",
        "decisions:read",
        "campaigns:read",
        "campaigns:write",
        "experiments:read",
        "experiments:write",
        "charges:read",
        "charges:refund",
        "models:read",
        "models:write",
        "reports:read",
    ]


def test_names_of_scopes_are_scopes_once() -> None:
    assert checked_scopes(["charges:read", "charges:read", Scope.CHARGES_REFUND]) == {
        Scope.CHARGES_READ,
        Scope.CHARGES_REFUND,
    }


@pytest.mark.parametrize("names", [["everything"], ["charges:read", ""], [None], [["charges:read"]]])
def test_what_is_no_scope_is_refused_with_those_there_are(names: list[object]) -> None:
    with pytest.raises(InvalidInput, match=r"^There is no scope .*; the scopes are products:read, products:write, "):
        checked_scopes(names)


def test_no_scope_at_all_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^A token needs at least one scope"):
        checked_scopes([])


def test_a_scope_of_another_release_allows_nothing() -> None:
    assert Scope.known(["moon:read", "charges:read"]) == {Scope.CHARGES_READ}
