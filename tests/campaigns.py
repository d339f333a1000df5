"""What the campaign suites share: definitions with sensible defaults, launched into a shop, and decisions read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conftest import Shop

from flask_encore.domain.offers import Placement
from flask_encore.services import campaigning, offering
from flask_encore.services.offering import Offered


def defined(ref: str, **changes: Any) -> dict[str, Any]:
    """A live campaign that offers the tea to everybody, with *changes*."""
    offer = {"kind": "fixed", "skus": ["tea"]}
    return {"ref": ref, "name": ref.title(), "status": "live", "offer": offer} | changes


def launch(shop: Shop, ref: str, **changes: Any) -> None:
    """Save a campaign, or save it anew."""
    known = campaigning.find(shop.rt, ref)
    campaigning.save(shop.rt, defined(ref, **changes), actor="tests", expected=None if known is None else known.version)


def shown(shop: Shop, order_ref: str = "1042", *, page: Placement = Placement.THANK_YOU) -> tuple[Offered, ...]:
    """What the page of an order shows, decided if it is due."""
    return offering.sequence_for(shop.rt, order_ref, page=page)


def told(shop: Shop, order_ref: str = "1042", **where: Any) -> list[tuple[str, str]]:
    """(campaign, product) of every offer on an order's page."""
    return [(one.decision["campaign_ref"], one.decision["sku"]) for one in shown(shop, order_ref, **where)]


def only(shop: Shop, order_ref: str = "1042", **where: Any) -> Offered:
    """The one offer on an order's page."""
    (offered,) = shown(shop, order_ref, **where)
    return offered


def decisions(shop: Shop, order_ref: str = "1042") -> list[Mapping[str, Any]]:
    """The decisions about an order as the store tells them, oldest first."""
    from flask_encore.store import decisions as table

    with shop.rt.db.read() as connection:
        page = table.page(connection, order_ref, account="", placement="")
    assert page is not None
    return [row for row, _ in page.steps]
