"""Which column of an order export is which: the headers shops use, and what the merchant says where they are others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from encore_recommender.columns import BadBaskets
from encore_recommender.reading.cells import shown

#: Per field, the headers it is known under, likeliest first; case, spaces and punctuation do not count.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "order": (
        *("order_id", "order_ref", "order_number", "order_no", "order", "invoice", "invoice_no", "invoice_number"),
        *("invoice_id", "transaction", "transaction_id", "transaction_no", "basket", "basket_id", "receipt"),
    ),
    "sku": (
        *("sku", "product_sku", "item_sku", "lineitem_sku", "stock_code", "product_id", "item_id", "article"),
        *("article_id", "product_code", "item_code", "product", "item"),
    ),
    "quantity": ("quantity", "qty", "lineitem_quantity", "item_quantity", "quantity_refund", "units", "count"),
    "customer": (
        *("customer_id", "customer_ref", "customer", "user_id", "member_number", "client_id", "customer_email"),
        *("billing_email", "email"),
    ),
    "time": (
        *("timestamp", "placed_at", "ordered_at", "order_date", "invoice_date", "created_at", "purchase_date"),
        *("datetime", "date_time", "date", "time", "paid_at"),
    ),
    "unit_price": ("unit_price", "price", "lineitem_price", "item_price", "item_cost"),
    "category": ("category", "product_category", "product_type", "department", "categories"),
    "title": (
        *("title", "product_title", "product_name", "item_name", "lineitem_name", "description", "name", "product"),
        "item",
    ),
    "parent": ("parent", "parent_sku", "parent_id", "parent_product", "product_group"),
    "upsell": ("upsell", "is_upsell", "sold_by_offer"),
    "status": ("status", "order_status", "financial_status", "payment_status"),
}

REQUIRED = ("order", "sku")


class Unreadable(BadBaskets):
    """The order history cannot be read; the message names the place and the fix."""


def matched(headers: Sequence[str], columns: Mapping[str, str] | None, *, source: str) -> dict[str, int]:
    """Which header is which field: what `columns` says, then the first header a field is known under.

    Args:
        headers: As the source has them.
        columns: Field -> header, where the guess would be wrong; an empty header leaves a field out.
        source: Its name, for errors.

    Returns:
        Field -> position in `headers`. No header serves two fields.

    Raises:
        Unreadable: A required field is missing, or `columns` names a field or header that does not exist.
    """
    said = dict(columns or {})
    place = {_plain(header): at for at, header in reversed(list(enumerate(headers)))}
    found: dict[str, int] = {}
    for name, header in said.items():
        if name not in FIELDS:
            raise Unreadable(f"there is no field {name!r}; the fields are {', '.join(FIELDS)}")
        if header and _plain(header) not in place:
            raise Unreadable(f"{source} has no column {header!r}; its columns are {_listed(headers)}")
        if header:
            found[name] = place[_plain(header)]
    # Shopify calls the order "Name", and says so by calling everything about a line "Lineitem ...".
    by_shopify = any(header.startswith("lineitem") for header in place)
    for name, aliases in FIELDS.items():
        if name not in said:
            known = (*(("name",) if by_shopify and name == "order" else ()), *aliases)
            free = (place[_plain(alias)] for alias in known if _plain(alias) in place)
            at = next((at for at in free if at not in found.values()), None)
            if at is not None:
                found[name] = at
    for name in REQUIRED:
        if name not in found:
            raise Unreadable(
                f"{source} has no column for the {name} ({', '.join(FIELDS[name][:3])}, …); its columns are "
                f"{_listed(headers)}. Say which one it is: columns={{{name!r}: 'its header'}}, "
                f"on the command line --column {name}='its header'"
            )
    return found


def _plain(header: str) -> str:
    return "".join(character for character in header.casefold() if character.isalnum())


def _listed(headers: Sequence[str]) -> str:
    return ", ".join(shown(header) for header in headers) or "none"
