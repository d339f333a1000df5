"""A merchant's hands on the dashboard over HTTP, for the tests of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from typing import Any

from conftest import Shop

from flask_encore.config import EXTENSION

HOME = "/encore/dashboard/"


def guarded(shop: Shop, guard: Callable[[], Any] | None) -> None:
    shop.app.extensions[EXTENSION] = replace(shop.app.extensions[EXTENSION], admin_guard=guard)


def get(shop: Shop, path: str = HOME, **query: str) -> Any:
    return shop.app.test_client().get(path, query_string=query or None)


def text_of(response: Any) -> str:
    """What a reader reads: no tags, no closed dialogs and popovers, single spaces."""
    body = re.sub(r"<(title|dialog).*?</\1>", " ", response.text, flags=re.DOTALL)
    body = re.sub(r"<span[^>]* popover>.*?</span>", "", body, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def sold(shop: Shop, order_ref: str = "1042", **changes: Any) -> str:
    """An accepted and charged offer; answers the path of its refund."""
    shop.pay(order_ref, **changes)
    assert shop.accept(shop.token(order_ref)) == "charged"
    [charge] = [row for row in shop.rows("charges") if row["order_ref"] == order_ref]
    return f"/encore/dashboard/charges/{charge['id']}/refund"


def seal_of(shop: Shop, path: str) -> str:
    return re.search(r'name="seal" value="([^"]+)"', get(shop, path).text)[1]  # type: ignore[index]


def refund(shop: Shop, path: str, seal: str | None = None, **headers: str) -> Any:
    data = {} if seal is None else {"seal": seal}
    return shop.app.test_client().post(path, data=data, headers=headers)


def nothing_moved(shop: Shop) -> bool:
    return shop.stripe.refunds() == [] and shop.rows("refunds") == []
