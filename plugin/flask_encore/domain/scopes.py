"""What an API token may be used for: one thing to read or to change, each."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from flask_encore.domain.errors import InvalidInput


class Scope(StrEnum):
    """One thing a token may do. None of them includes another: who may change campaigns may not see them by that."""

    PRODUCTS_READ = "products:read"  #: see the catalogue
    PRODUCTS_WRITE = "products:write"  #: change the catalogue: products, prices, stock
    ORDERS_READ = "orders:read"  #: see paid orders and what became of them
    ORDERS_WRITE = "orders:write"  #: hand over paid orders
    DECISIONS_READ = "decisions:read"  #: see what was decided about each order, and why
    CAMPAIGNS_READ = "campaigns:read"  #: see the campaigns
    CAMPAIGNS_WRITE = "campaigns:write"  #: create, change, pause and end campaigns
    EXPERIMENTS_READ = "experiments:read"  #: see the experiments and their figures
    EXPERIMENTS_WRITE = "experiments:write"  #: create, start, stop and roll out experiments
    CHARGES_READ = "charges:read"  #: see the charges
    CHARGES_REFUND = "charges:refund"  #: give shoppers' money back
    MODELS_READ = "models:read"  #: see the recommender's models and what they know
    MODELS_WRITE = "models:write"  #: train, and put another model live
    REPORTS_READ = "reports:read"  #: see figures and reports

    @classmethod
    def known(cls, names: Iterable[str]) -> frozenset[Scope]:
        """Those of *names* there are: a scope of another release allows nothing here."""
        return frozenset(cls(name) for name in names if name in _NAMES)


_NAMES = frozenset(Scope)


def checked_scopes(names: Iterable[object]) -> frozenset[Scope]:
    """*names* as scopes.

    Raises:
        InvalidInput: If there is none, or one of them is no scope.
    """
    given = list(names)
    unknown = [name for name in given if not isinstance(name, str) or name not in _NAMES]
    if unknown:
        raise InvalidInput(f"There is no scope {unknown[0]!r}; the scopes are {', '.join(Scope)}.")
    if not given:
        raise InvalidInput(f"A token needs at least one scope, of {', '.join(Scope)}.")
    return frozenset(Scope(str(name)) for name in given)
