"""Co-purchase recommendations from past baskets.

Serving (`CoPurchaseModel`, `load`) needs numpy alone. `CoPurchaseRecommender`, which trains, is imported on first use
because it brings scikit-learn and scipy, which a web worker has no business waiting for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from encore_recommender.baskets import BadBaskets, Baskets
from encore_recommender.bounds import BadBounds, Bounds
from encore_recommender.explanations import Explanation
from encore_recommender.model import CoPurchaseModel, Recommendations
from encore_recommender.persistence import ModelRefused, Provenance, load, save

if TYPE_CHECKING:
    from encore_recommender.copurchase import CoPurchaseRecommender

__all__ = [
    "BadBaskets",
    "BadBounds",
    "Baskets",
    "Bounds",
    "CoPurchaseModel",
    "CoPurchaseRecommender",
    "Explanation",
    "ModelRefused",
    "Provenance",
    "Recommendations",
    "load",
    "save",
]


def __getattr__(name: str) -> Any:
    if name == "CoPurchaseRecommender":
        from encore_recommender.copurchase import CoPurchaseRecommender

        return CoPurchaseRecommender
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
