"""What the experiment suites share: definitions with sensible defaults, started in a shop, and exposures read back."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from conftest import Shop

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
    from campaigns import decisions

    return [row["exposures"] for row in decisions(shop, order_ref)]
