"""A program that uses the API, for the tests of it."""

from __future__ import annotations

from typing import Any

from conftest import Shop

from flask_encore.domain.scopes import Scope
from flask_encore.services import api_tokens

API = "/encore/api/v1"


class Client:
    """Asks with a token of these scopes; of every scope when none is named, and without a token when it is empty."""

    def __init__(self, shop: Shop, *scopes: Scope, name: str = "till", token: str | None = None) -> None:
        self._http = shop.app.test_client()
        if token is None:
            _, token = api_tokens.issue(shop.rt, name=name, scopes=scopes or Scope, actor="merchant")
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def __call__(self, method: str, path: str, **request: Any) -> Any:
        headers = self.headers | request.pop("headers", {})
        return self._http.open(f"{API}{path}", method=method, headers=headers, **request)

    def get(self, path: str, **request: Any) -> Any:
        return self("GET", path, **request)

    def put(self, path: str, **request: Any) -> Any:
        return self("PUT", path, **request)

    def post(self, path: str, **request: Any) -> Any:
        return self("POST", path, **request)

    def delete(self, path: str, **request: Any) -> Any:
        return self("DELETE", path, **request)


def code_of(response: Any) -> tuple[int, str]:
    """Status and code of a problem, after a look at its form."""
    assert response.mimetype == "application/problem+json", response.text
    told = response.get_json()
    assert told["status"] == response.status_code
    assert set(told) - {"errors"} == {"type", "title", "status", "code", "detail"}
    return response.status_code, told["code"]


def errors_of(response: Any) -> dict[str, str]:
    """Where -> what of a problem's errors."""
    return {
        fault.get("pointer", fault.get("parameter", "")): fault["detail"] for fault in response.get_json()["errors"]
    }
