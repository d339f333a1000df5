"""What the experiment suites share: definitions with sensible defaults, started in a shop, and exposures read back."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from campaigns import decisions, only
from conftest import Shop
from money import take

from flask_encore.domain.moments import Customer, Moments
from flask_encore.services import experimenting
from flask_encore.services.experimenting import Saved


def wording(headline: str) -> dict[str, Any]:
    """English words of a variant."""
    return {"en": {"headline": headline}}


def defined(ref: str = "words", **changes: Any) -> dict[str, Any]:
    """Two headlines for the campaign tea, half of the customers each, with *changes*; ``None`` leaves a field out."""
    definition = {
        "ref": ref,
        "name": ref.title(),
        "varies": "copy",
        "campaign": "tea",
        "baseline": "as it is",
        "variants": [
            {"name": "as it is", "weight": 5_000},
            {"name": "short", "weight": 5_000, "copy": wording("Tea?")},
        ],
    } | changes
    return {name: value for name, value in definition.items() if value is not None}


def begin(shop: Shop, ref: str = "words", **changes: Any) -> Saved:
    """Write an experiment and start it."""
    draft = experimenting.create(shop.rt, defined(ref, **changes), actor="tests")
    with shop.rt.db.write() as connection:
        # The salt is random; tests want the same deal every time, and another one for every experiment.
        salt = sha256(ref.encode()).hexdigest()[:32]
        row = sa.text("UPDATE encore_experiments SET salt = :salt WHERE experiment_ref = :ref")
        connection.execute(row, {"salt": salt, "ref": ref})
    return experimenting.start(shop.rt, ref, actor="tests", expected=draft.version)


def for_everybody(**said: Any) -> list[dict[str, Any]]:
    """Variants of which practically everybody is dealt the second, which says *said*."""
    return [{"name": "as it is", "weight": 1}, {"name": "new", "weight": 9_999, **said}]


def discounts(*percents: int) -> list[dict[str, Any]]:
    """Variants of equal weight, each with a discount and named after it."""
    share = 10_000 // len(percents)
    return [{"name": f"{percent} %", "weight": share, "discount": {"percent": percent}} for percent in percents]


def exposures(shop: Shop, order_ref: str = "1042") -> list[Any]:
    """What each decision about an order logged of experiments, oldest first."""
    return [row["exposures"] for row in decisions(shop, order_ref)]


def recounted(shop: Shop) -> dict[tuple[str, str], Moments]:
    """By currency and variant, from the raw rows alone, customer by customer."""
    orders = {row["order_ref"]: row for row in shop.rows("orders")}
    kept: Counter[str] = Counter()
    bought: set[str] = set()
    back = Counter({row["charge_id"]: row["amount_minor"] for row in shop.rows("refunds")})
    for row in shop.rows("charges"):
        bought.add(row["order_ref"])
        kept[row["order_ref"]] += row["amount_minor"] - back[row["id"]]
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for row in shop.rows("decisions"):
        told = row["exposures"]
        if told is not None:
            variant = (told if isinstance(told, dict) else json.loads(told))["words"]  # SQLite tells JSON as text
            whose = row["customer_ref"] or row["order_ref"]
            found.setdefault((row["currency"], variant), {}).setdefault(whose, []).append(row["order_ref"])
    return {
        (currency, variant): Moments.of(
            currency,
            [
                Customer(
                    orders=len(refs),
                    value=sum(orders[ref]["total_minor"] + kept[ref] for ref in refs),
                    before=orders[min(refs)]["total_minor"],
                    bought=any(ref in bought for ref in refs),
                )
                for refs in whose.values()
            ],
        )
        for (currency, variant), whose in found.items()
    }


def exposed(shop: Shop, rows: list[tuple[str, str, int]]) -> None:
    """Orders of one customer each with the variant they were dealt and what an offer earned, 0 for none.

    One is decided and charged as always, and copied under other names.
    """
    shop.pay("seed", customer_ref="seed")
    assert take(shop, only(shop, "seed").decision["id"]) == "charged"
    with shop.rt.db.write() as connection:
        for table, key in (("orders", "order_ref"), ("decisions", "id"), ("charges", "id")):
            [row] = [dict(row) for row in connection.execute(sa.text(f"SELECT * FROM encore_{table}")).mappings()]
            copies = [_copy(table, key, row, n, *told) for n, told in enumerate(rows)]
            copies = [copy for copy in copies if copy is not None]
            columns = ", ".join(f'"{name}"' for name in row)
            marks = ", ".join(f":{name}" for name in row)
            connection.execute(sa.text(f"DELETE FROM encore_{table}"))
            if copies:
                connection.execute(sa.text(f"INSERT INTO encore_{table} ({columns}) VALUES ({marks})"), copies)


def _copy(table: str, key: str, row: dict[str, Any], n: int, who: str, variant: str, earned: int) -> Any:
    if table == "charges" and not earned:
        return None
    made = {**row, "order_ref": f"o-{n}", key: f"o-{n}" if key == "order_ref" else f"{n:032}"}
    if table == "orders":
        made |= {"customer_ref": who, "payment_intent_ref": f"pi-{n}", "total_minor": 3_000 + n % 700}
    if table == "decisions":
        made |= {"customer_ref": who, "exposures": f'{{"words": "{variant}"}}'}
    if table == "charges":
        made |= {"payment_intent_ref": f"upsell-{n}", "amount_minor": earned, "customer_ref": who}
    return made
