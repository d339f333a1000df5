"""One row per customer of an experiment: what they ordered since they were dealt their arm, and what they came with.

Sums of squares outgrow 64 bits, so no database adds them up: rows come one by one, and `domain.moments` adds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa

from flask_encore.domain.charges import PAID, ChargeStatus
from flask_encore.domain.moments import Customer
from flask_encore.domain.offers import Outcome
from flask_encore.store.customer_reports import LARGEST_AMOUNT
from flask_encore.store.models import charges, decisions, experiments, orders, refunds

#: Rows fetched at a time; keeps memory flat while a million customers are read.
_FETCH = 5_000

_ELIGIBLE = [Outcome.OFFERED.value, Outcome.HELD_OUT.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """Which decisions are looked at, and what their arm is."""

    account: str
    experiment_ref: str | None
    since: datetime | None
    until: datetime | None
    holdout_bp: int | None
    default_bp: int
    currency: str | None

    def arm(self, table: Any = decisions) -> sa.ColumnElement[Any]:
        if self.experiment_ref is None:
            return cast("sa.ColumnElement[Any]", table.c.arm)
        return cast("sa.ColumnElement[Any]", table.c.exposures[self.experiment_ref].as_string())

    def holds(self, table: Any = decisions) -> sa.ColumnElement[bool]:
        told = [table.c.account == self.account]
        if self.experiment_ref is not None:
            # Whatever came of it: a variant that had nothing to offer was dealt all the same.
            told.append(self.arm(table).is_not(None))
        else:
            told.append(table.c.outcome.in_(_ELIGIBLE))
        if self.since is not None:
            told.append(table.c.decided_at >= self.since)
        if self.until is not None:
            told.append(table.c.decided_at < self.until)
        if self.holdout_bp is not None:
            told.append(_share(self.default_bp, table) == self.holdout_bp)
        if self.currency is not None:
            told.append(table.c.currency == self.currency)
        return sa.and_(*told)

    def first_arm(self, one: Any) -> sa.ColumnElement[Any]:
        """The arm a customer was dealt first; read for those alone who were dealt two."""

        def of(alias: str, *whose: Callable[[Any], sa.ColumnElement[bool]]) -> sa.ScalarSelect[Any]:
            table = decisions.alias(alias)
            return (
                sa.select(self.arm(table))
                .where(self.holds(table), table.c.currency == one.currency, *(each(table) for each in whose))
                .order_by(table.c.decided_at, table.c.id)
                .limit(1)
                .scalar_subquery()
            )

        customers_ = of("first_of_customer", lambda table: table.c.customer_ref == one.customer_ref)
        guests = of(
            "first_of_guest",
            lambda table: table.c.order_ref == one.guest_ref,
            lambda table: table.c.customer_ref.is_(None),
        )
        return sa.case((one.customer_ref.is_(None), guests), else_=customers_)


def _share(default_bp: int, table: Any = decisions) -> sa.ColumnElement[int]:
    """Basis points held out when a decision was made; those that do not say were made under the configured share."""
    return sa.func.coalesce(table.c.holdout_bp, sa.literal(default_bp, sa.Integer))


def _kept(account: str) -> sa.CTE:
    """By order and currency: what offers charged and nobody took back, and that an offer was charged at all."""
    back = (
        sa.select(refunds.c.charge_id, sa.func.sum(refunds.c.amount_minor).label("minor"))
        .where(refunds.c.status == "succeeded")
        .group_by(refunds.c.charge_id)
        .subquery("back")
    )
    left = charges.c.amount_minor - sa.func.coalesce(back.c.minor, 0)
    stays = sa.and_(charges.c.status == ChargeStatus.SUCCEEDED.value, left > 0)
    return (
        sa.select(
            charges.c.order_ref,
            charges.c.currency,
            sa.cast(sa.func.sum(sa.case((stays, left), else_=0)), sa.BigInteger).label("minor"),
        )
        .select_from(charges.outerjoin(back, back.c.charge_id == charges.c.id))
        .where(charges.c.account == account, charges.c.status.in_(sorted(PAID)))
        .group_by(charges.c.order_ref, charges.c.currency)
        .cte("kept")
    )


def _by_customer(scope: _Scope, kept: sa.CTE) -> sa.Subquery:
    """A row per customer and currency; a guest order is a customer of its own. An order counts once."""
    account, arm = scope.account, scope.arm()
    by_order = (
        sa.select(
            decisions.c.order_ref,
            decisions.c.currency,
            sa.func.max(decisions.c.customer_ref).label("customer_ref"),
            sa.func.min(arm).label("lowest"),
            sa.func.max(arm).label("highest"),
        )
        .where(scope.holds())
        .group_by(decisions.c.order_ref, decisions.c.currency)
        .subquery("by_order")
    )
    one = by_order.c
    paid_for = sa.and_(
        orders.c.account == account,
        orders.c.order_ref == one.order_ref,
        orders.c.currency == one.currency,
        # A slip and no price; it would be the whole variance.
        orders.c.total_minor <= LARGEST_AMOUNT,
    )
    of_offers = sa.and_(kept.c.order_ref == one.order_ref, kept.c.currency == one.currency)
    guest = sa.case((one.customer_ref.is_(None), one.order_ref))
    rank = sa.func.row_number().over(
        partition_by=[one.currency, one.customer_ref, guest], order_by=[orders.c.placed_at, one.order_ref]
    )
    ranked = (
        sa.select(
            one.currency,
            one.customer_ref,
            guest.label("guest_ref"),
            one.lowest,
            one.highest,
            orders.c.total_minor,
            kept.c.minor.label("kept_minor"),
            rank.label("rank"),
        )
        .select_from(by_order.join(orders, paid_for).outerjoin(kept, of_offers))
        .subquery("ranked")
    )
    paid = ranked.c
    first = sa.case((paid.rank == 1, paid.total_minor), else_=0)
    return (
        sa.select(
            paid.currency,
            paid.customer_ref,
            paid.guest_ref,
            sa.func.count().label("orders"),
            _whole(sa.func.sum(paid.total_minor + sa.func.coalesce(paid.kept_minor, 0))).label("value"),
            _whole(sa.func.sum(first)).label("before"),
            sa.func.max(sa.case((paid.kept_minor.is_not(None), 1), else_=0)).label("bought"),
            sa.func.min(paid.lowest).label("lowest"),
            sa.func.max(paid.highest).label("highest"),
        )
        .group_by(paid.currency, paid.customer_ref, paid.guest_ref)
        .subquery("by_customer")
    )


def _whole(total: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """A sum of whole numbers as one; PostgreSQL makes a decimal of it."""
    return sa.cast(total, sa.BigInteger)


def customers(
    connection: sa.Connection,
    *,
    account: str,
    experiment_ref: str | None,
    since: datetime | None = None,
    until: datetime | None = None,
    holdout_bp: int | None = None,
    default_bp: int = 0,
    currency: str | None = None,
) -> Iterator[tuple[str, str, Customer]]:
    """(arm or variant, currency, customer) of everybody with an eligible order in the scope, one by one.

    Of an experiment every order counts whose decision it was logged with, also where its variant had nothing to offer.

    A customer is a ``customer_ref``, else an order; one who paid in two currencies is one of each. Whoever was dealt
    two arms, because weights or salts changed, is in the one they had first. ``before`` is the total of their first
    eligible order, which was paid before its thank-you page; refunds and offers leave it alone.

    Args:
        experiment_ref: An experiment, whose variants are the arms; ``None`` is the standing holdout.
        since: Only decisions of then and later; *until*: only decisions before then.
        holdout_bp: Only decisions made while so many basis points were held out.
        default_bp: What decisions count as that do not say.
    """
    scope = _Scope(
        account=account,
        experiment_ref=experiment_ref,
        since=since,
        until=until,
        holdout_bp=holdout_bp,
        default_bp=default_bp,
        currency=currency,
    )
    one = _by_customer(scope, _kept(account)).c
    statement = sa.select(
        sa.case((one.lowest == one.highest, one.lowest), else_=scope.first_arm(one)).label("arm"),
        one.currency,
        one.orders,
        one.value,
        one.before,
        one.bought,
    )
    for row in connection.execution_options(yield_per=_FETCH).execute(statement):
        yield (
            row.arm,
            row.currency,
            Customer(orders=int(row.orders), value=int(row.value), before=int(row.before), bought=bool(row.bought)),
        )


def share_in_force(connection: sa.Connection, *, account: str, default_bp: int) -> Mapping[str, Any] | None:
    """holdout_bp of the newest decision under which anybody was held out, and since, when it was first in force.

    ``None`` when nobody ever was.
    """
    share = _share(default_bp)
    newest = (
        sa.select(share.label("holdout_bp"))
        .where(decisions.c.account == account, decisions.c.outcome.in_(_ELIGIBLE), share > 0)
        .order_by(decisions.c.decided_at.desc())
        .limit(1)
        .cte("newest")
    )
    first = (
        sa.select(decisions.c.decided_at)
        .where(decisions.c.account == account, decisions.c.outcome.in_(_ELIGIBLE), share == newest.c.holdout_bp)
        .order_by(decisions.c.decided_at)
        .limit(1)
        .scalar_subquery()
    )
    row = connection.execute(sa.select(newest.c.holdout_bp, first.label("since"))).mappings().first()
    return None if row is None else dict(row)


def at_most(connection: sa.Connection, bound: int, *, account: str) -> bool:
    """Whether there are at most *bound* decisions; counts no further than that."""
    few = sa.select(sa.literal(1)).where(decisions.c.account == account).select_from(decisions).limit(bound + 1)
    return bool(connection.execute(sa.select(sa.func.count()).select_from(few.subquery("few"))).scalar_one() <= bound)


def measured(connection: sa.Connection, *, account: str) -> list[str]:
    """Refs of the experiments that run, or were stopped and may still be read."""
    chosen = sa.select(experiments.c.experiment_ref).where(experiments.c.account == account)
    return list(
        connection.execute(
            chosen.where(experiments.c.status.in_(["running", "stopped"])).order_by(experiments.c.experiment_ref)
        ).scalars()
    )
