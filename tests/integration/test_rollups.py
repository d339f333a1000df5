"""Days counted beforehand: whatever happens, and whenever they are counted, the page equals a recount of the rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import START, Shop, ShopFactory
from histories import statements, write
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from recounts import as_json, assert_is_a_recount

from flask_encore.cli import cli
from flask_encore.domain.charges import PAID, ChargeStatus
from flask_encore.domain.days import Days
from flask_encore.domain.timeline import Change, Source, entry
from flask_encore.services import rolling
from flask_encore.services.today import today
from flask_encore.store import rollups
from flask_encore.store.models import charges, decisions, metadata, refunds

FIRST, LAST = date(2026, 1, 20), date(2026, 3, 2)
DAYS = Days(first=FIRST, last=LAST)
BEGINS = datetime(2026, 1, 12, tzinfo=UTC)
ROLLED = ("counted_days", "day_counts", "day_movements")


class History:
    """A shop whose rows change as they would: every statement that changes what is counted says so in the row."""

    def __init__(self, shop: Shop, *, forgetful: bool = False) -> None:
        self.shop, self.forgetful = shop, forgetful
        self.written = 0
        with shop.rt.db.write() as connection:
            for table in metadata.sorted_tables:
                connection.execute(sa.delete(table))

    def orders(self, dice: Random) -> None:
        """Orders of the last weeks with their offers, and what is known of a part of their charges."""
        self.written += 1
        begins = BEGINS + timedelta(days=dice.randint(0, 40))
        seed = dice.randint(0, 1 << 20) * 100 + self.written
        write(self.shop, seed=seed, count=dice.randint(1, 40), begins=begins, days=9)
        with self.shop.rt.db.write() as connection:
            for row in self._charges(connection):
                if not row["tries"]:
                    known = {"tries": 1, "cost_minor": dice.choice([None, 0, 70_000, 4_000_000])}
                    known["tax_minor"] = dice.choice([None, 300])
                    if dice.random() < 0.5:
                        known |= {"fee_minor": dice.randint(0, 900), "fee_currency": dice.choice(["gbp", "eur"])}
                    connection.execute(sa.update(charges).where(charges.c.id == row["id"]).values(**known))

    def _charges(self, connection: sa.Connection) -> Any:
        return connection.execute(sa.select(charges).order_by(charges.c.id)).mappings().all()

    def _changed(self, connection: sa.Connection, id: str, **values: Any) -> None:
        if not self.forgetful:
            values["counted_at"] = None
        if values:
            connection.execute(sa.update(charges).where(charges.c.id == id).values(**values))

    def _one(self, dice: Random, connection: sa.Connection, *states: ChargeStatus) -> Any:
        found = [row for row in self._charges(connection) if row["status"] in states]
        return dice.choice(found) if found else None

    def refund(self, dice: Random) -> None:
        """Money goes back, in full or in part, months after the order or at once."""
        with self.shop.rt.db.write() as connection:
            row = self._one(dice, connection, ChargeStatus.SUCCEEDED)
            if row is None:
                return
            seqs = sa.select(sa.func.coalesce(sa.func.max(refunds.c.seq), 0) + 10)
            at = row["charged_at"] + timedelta(days=dice.randint(0, 40), seconds=dice.randint(0, 90_000))
            whole = dice.random() < 0.5
            connection.execute(
                sa.insert(refunds).values(
                    charge_id=row["id"],
                    seq=connection.execute(seqs.where(refunds.c.charge_id == row["id"])).scalar_one(),
                    amount_minor=row["amount_minor"] if whole else row["amount_minor"] // 3,
                    currency=row["currency"],
                    cause=dice.choice(["undo", "merchant"]),
                    actor="merchant",
                    status="succeeded",
                    requested_at=at,
                    settled_at=at,
                )
            )
            self._changed(connection, row["id"], **({"status": ChargeStatus.REFUNDED.value} if whole else {}))

    def dispute(self, dice: Random) -> None:
        """The cardholder's bank takes a charge back."""
        with self.shop.rt.db.write() as connection:
            row = self._one(dice, connection, ChargeStatus.SUCCEEDED, ChargeStatus.REFUNDING)
            if row is not None:
                at = row["charged_at"] + timedelta(days=dice.randint(0, 40))
                line = entry(Change(at=at, status=ChargeStatus.DISPUTED, source=Source.WEBHOOK))
                self._changed(connection, row["id"], status=ChargeStatus.DISPUTED.value, timeline=f"{line}\n")

    def fee(self, dice: Random) -> None:
        """Stripe tells what it kept."""
        with self.shop.rt.db.write() as connection:
            row = self._one(dice, connection, *PAID)
            if row is not None:
                self._changed(connection, row["id"], fee_minor=dice.randint(0, 900), fee_currency=row["currency"])

    def seen(self, dice: Random) -> None:
        """An offer was on somebody's screen all the time, and only now is it told."""
        with self.shop.rt.db.write() as connection:
            ids = list(connection.execute(sa.select(decisions.c.id).where(decisions.c.shown_at.is_(None))).scalars())
            if ids:
                values: dict[str, Any] = {"shown_at": self.shop.clock()} | (
                    {} if self.forgetful else {"counted_at": None}
                )
                connection.execute(
                    sa.update(decisions).where(decisions.c.id == dice.choice(sorted(ids))).values(**values)
                )

    def decided_anew(self, dice: Random) -> None:
        """Stripe can be asked again: a provisional decision of some day becomes another one's."""
        with self.shop.rt.db.write() as connection:
            # Such a decision makes no offer, so it has no charge.
            provisional = [decisions.c.reason == rollups.PROVISIONAL.value, decisions.c.outcome != "offered"]
            ids = list(connection.execute(sa.select(decisions.c.id).where(*provisional)).scalars())
            if ids:
                connection.execute(
                    sa.update(decisions)
                    .where(decisions.c.id == dice.choice(sorted(ids)))
                    .values(
                        reason="no_campaign", decided_at=START - timedelta(days=dice.randint(0, 30)), counted_at=None
                    )
                )

    def count(self, dice: Random) -> None:
        """A worker counts some days, by a clock that is wrong by up to half an hour."""
        wrong = timedelta(minutes=dice.randint(-30, 30))
        self.shop.clock.advance(seconds=wrong.total_seconds())
        rolling.refresh(self.shop.rt, days=dice.choice([1, 5, 100]))
        self.shop.clock.advance(seconds=-wrong.total_seconds())

    def rebuild(self, _dice: Random) -> None:
        """Somebody distrusts the tables."""
        rolling.rebuild(self.shop.rt)

    def check(self, _dice: Random) -> None:
        """Every number of the page equals a recount."""
        assert_is_a_recount(self.shop, today(self.shop.rt, DAYS), FIRST, LAST)


WHAT = ("orders", "orders", "refund", "refund", "dispute", "fee", "seen", "decided_anew", "count", "count", "rebuild")
happenings = st.lists(st.tuples(st.sampled_from(WHAT), st.integers(0, 1 << 20)), min_size=4, max_size=14)
bounded = settings(
    max_examples=12,
    derandomize=True,
    database=None,
    deadline=None,
    # Shrinking would go on for minutes; the seeds in what failed are small enough to look at.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def live_through(history: History, happened: list[tuple[str, int]]) -> None:
    history.orders(Random(len(happened)))
    for what, seed in happened:
        getattr(history, what)(Random(seed))
        history.check(Random(seed))


@bounded
@given(happened=happenings)
def test_whatever_happens_and_whenever_days_are_counted_the_page_is_a_recount(
    any_shop: Shop, happened: list[tuple[str, int]]
) -> None:
    live_through(History(any_shop), happened)


@bounded
@given(happened=happenings)
def test_a_zone_with_uneven_days_is_counted_as_evenly(shop: Shop, happened: list[tuple[str, int]]) -> None:
    object.__setattr__(shop.rt.settings, "time_zone", "Pacific/Auckland")
    live_through(History(shop), happened)


def test_a_page_that_ignored_late_refunds_would_be_caught(any_shop: Shop) -> None:
    forgetful = History(any_shop, forgetful=True)
    for seed in range(8):
        forgetful.orders(Random(seed))
    rolling.refresh(any_shop.rt, days=100)
    forgetful.check(Random(1))
    with pytest.raises(AssertionError):
        for seed in range(10):
            forgetful.refund(Random(seed))
        forgetful.check(Random(1))


def test_the_command_counts_everything_anew_and_says_how_much(shop: Shop) -> None:
    write(shop, seed=1, count=300, begins=BEGINS, days=20)
    told = shop.app.test_cli_runner().invoke(cli, ["report", "rebuild"])
    assert (told.exit_code, told.output) == (0, f"{len(shop.rows('counted_days'))} days are counted.\n")
    assert_is_a_recount(shop, today(shop.rt, DAYS), FIRST, LAST)


def everything_counted(shop: Shop) -> dict[str, list[str]]:
    assert rolling.refresh(shop.rt, days=1_000) == 0
    return {name: as_json(shop.rows(name)) for name in ROLLED}


def test_counting_everything_anew_leaves_the_same_tables_byte_by_byte(any_shop: Shop) -> None:
    history = History(any_shop)
    acts: list[Callable[[Random], None]] = [history.orders, history.refund, history.dispute, history.fee, history.count]
    for seed in range(25):
        acts[seed % len(acts)](Random(seed))
    any_shop.clock.advance(days=40)
    little_by_little = everything_counted(any_shop)
    assert min(len(rows) for rows in little_by_little.values()) > 10

    told: list[tuple[int, int]] = []
    counted = rolling.rebuild(any_shop.rt, progress=lambda done, every: told.append((done, every)))

    assert {name: as_json(any_shop.rows(name)) for name in ROLLED} == little_by_little
    assert told[-1] == (counted, counted) == (len(told), len(little_by_little["counted_days"]))


def test_a_shop_that_moves_to_another_zone_is_right_at_once_and_counted_again_later(
    make_shop: ShopFactory, database_uri: str
) -> None:
    london = make_shop(database_uri, ENCORE_TIME_ZONE="Europe/London")
    History(london).orders(Random(3))
    rolling.refresh(london.rt, days=1_000)
    sydney = make_shop(database_uri, upgrade=False, ready=True, ENCORE_TIME_ZONE="Australia/Sydney")

    assert_is_a_recount(sydney, today(sydney.rt, DAYS), FIRST, LAST)
    rolling.refresh(sydney.rt, days=1_000)

    assert {row["zone"] for row in sydney.rows("counted_days")} == {"Australia/Sydney"}
    for shop in (sydney, london):
        assert_is_a_recount(shop, today(shop.rt, DAYS), FIRST, LAST)


def test_a_day_on_which_something_may_still_expire_is_not_counted_yet(any_shop: Shop) -> None:
    any_shop.pay()
    any_shop.page()
    assert rolling.refresh(any_shop.rt) == 0
    assert any_shop.rows("counted_days") == []

    any_shop.clock.advance(hours=2)
    rolling.refresh(any_shop.rt)
    assert len(any_shop.rows("counted_days")) == 1


@pytest.mark.parametrize("database_uri", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True)
def test_counting_neither_waits_for_a_row_somebody_is_changing_nor_takes_it_for_counted(any_shop: Shop) -> None:
    history = History(any_shop)
    for seed in range(8):
        history.orders(Random(seed))
    [charge, *_] = [row for row in any_shop.rows("charges") if row["status"] == "succeeded" and not row["account"]]
    with any_shop.rt.db.write() as connection:
        connection.execute(
            sa.update(charges).where(charges.c.id == charge["id"]).values(fee_minor=77, fee_currency="gbp")
        )
        rolling.refresh(any_shop.rt, days=100)
        counted = len(any_shop.rows("counted_days"))
        assert [row["counted_at"] for row in any_shop.rows("charges") if row["id"] == charge["id"]] == [None]
    history.check(Random(0))

    rolling.refresh(any_shop.rt, days=100)
    assert len(any_shop.rows("counted_days")) == counted + 1
    history.check(Random(0))


def test_counting_is_bounded_and_says_how_much_is_left(shop: Shop) -> None:
    write(shop, seed=1, count=300, begins=BEGINS, days=20)
    every = rolling.refresh(shop.rt, days=3) + 3
    assert len(shop.rows("counted_days")) == 3
    assert rolling.refresh(shop.rt, days=4) == every - 7


@pytest.mark.parametrize("count", [10, 10_000])
def test_each_part_of_the_page_is_at_most_three_statements_whatever_the_size(any_shop: Shop, count: int) -> None:
    write(any_shop, seed=7, count=count, begins=BEGINS, days=40)
    rt = any_shop.rt
    rolling.refresh(rt, days=10)
    with statements(any_shop) as sent, rt.db.snapshot() as connection:
        reading = rolling.Reading.of(rt, connection, FIRST, LAST, now=any_shop.clock())
        reading.groups(FIRST, LAST)
        figures = len(sent)
        reading.movements()
        months = len(sent) - figures + 1
    with statements(any_shop) as all_of_it:
        today(rt, DAYS)
    assert (figures, months) == (3, 3)
    assert len(all_of_it) <= 8
