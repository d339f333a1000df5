"""The demo's simulated past: every number was lived through, and agrees with Stripe and with what really was."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from demo_host import NOW, nowhere, stocked_instance

from flask_encore.demo import past
from flask_encore.demo.app import create_app
from flask_encore.demo.catalogue import CURRENCY
from flask_encore.demo.shop import shop
from flask_encore.demo.shoppers import Habits, Truth
from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.experiment import Estimate
from flask_encore.domain.funnel import Funnel, Leak, Step
from flask_encore.services import experiment_figures, experimenting, health, reporting, uplift
from flask_encore.services.reporting import Entry, Period
from flask_encore.services.uplift import Uplift
from flask_encore.testing import FrozenClock, StripeSimulator

#: A thousand orders of a whole shop; on a busy machine they take minutes.
pytestmark = pytest.mark.timeout(900)

SECRET = "whsec_of_the_simulated_past"


def live(folder: Path, *, days: int, orders_a_day: int, experiment: Mapping[str, Any] | None = None) -> Truth:
    """Live through some days in the stocked shop of *folder*."""
    return past.live_through(
        folder,
        now=NOW,
        config={},
        state_file=folder / "stripe.json",
        webhook_secret=SECRET,
        days=days,
        orders_a_day=orders_a_day,
        experiment=experiment,
    )


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with goods and a model, and no order yet."""
    return stocked_instance(tmp_path_factory.mktemp("stocked") / "shop")


def test_what_a_shopper_does_is_worth_what_the_habits_say() -> None:
    habits = Habits(
        seen=0.5, eager=0.4, thrift=0.0, refused=0.1, checked=0.2, passes=0.5, undoes=0.1, returns=0.2, disputes=0.5
    )

    # charged 0.8, and of those 0.9 · 0.8 · 0.5 stay so
    assert habits.kept == pytest.approx(0.288)
    assert habits.takes(500, 1_000) == pytest.approx(0.4)
    assert habits.worth(500, 1_000) == pytest.approx(0.5 * 0.4 * 0.288 * 500)
    assert Habits(thrift=1.0, eager=1.0).takes(1_000, 1_000) == pytest.approx(0.3679, abs=1e-4)


def _told(entry: Entry) -> str:
    """All of it but its id, which is drawn anew, and by which decisions of one moment are sorted."""
    return f"{entry.order_ref} {entry.decided_at} {entry.sku} {entry.amount} {entry.facts}"


def test_the_same_days_are_lived_through_alike(stocked: Path, tmp_path: Path) -> None:
    told = []
    for name in ("once", "again"):
        folder = tmp_path / name
        shutil.copytree(stocked, folder)
        truth = live(folder, days=3, orders_a_day=4)
        app = create_app(instance=folder, stripe=nowhere(), config={"TESTING": True}, clock=FrozenClock(NOW))
        with app.app_context():
            rt = shop().encore.runtime
            report = reporting.report(rt, period=Period.ALL)
            told.append((truth, report.funnels, sorted(map(_told, report.entries))))
            rt.db.dispose()

    assert told[0] == told[1]
    assert told[0][0].orders > 8


@pytest.mark.long
def test_the_reports_agree_with_stripe_to_the_penny_and_hold_what_offers_really_added(stocked: Path) -> None:
    truth = live(stocked, days=past.DAYS, orders_a_day=past.ORDERS_A_DAY, experiment=past.EXPERIMENT)
    app = create_app(instance=stocked, stripe=nowhere(), config={"TESTING": True}, clock=FrozenClock(NOW))
    with app.app_context():
        rt = shop().encore.runtime
        [funnel] = reporting.report(rt, period=Period.ALL).funnels
        examined = health.examined(rt)
        added = uplift.uplifts(rt)[CURRENCY]
        tried = experimenting.find(rt, past.EXPERIMENT["ref"])
        assert tried is not None
        told = experiment_figures.figures(rt, tried.experiment)
        rt.db.dispose()

    _agrees(funnel, StripeSimulator(state_file=stocked / "stripe.json"))
    assert examined is not None
    assert examined.quarantined == examined.stuck_holds == examined.messages == 0
    assert not {ChargeStatus.UNKNOWN, ChargeStatus.CLAIMED, ChargeStatus.INTENT} & set(examined.charges)
    _holds(added, truth)
    [in_pounds] = told.currencies
    [judged] = in_pounds.comparisons
    assert not told.is_mismatch
    assert judged.comparison.any_day is not None
    assert truth.variants["25 % off"] - truth.variants["10 % off"] in judged.comparison.any_day


def _agrees(funnel: Funnel, stripe: StripeSimulator) -> None:
    charged = stripe.charges()
    assert funnel.gross.minor_units == sum(charge["amount"] for charge in charged)
    assert funnel.refunded.minor_units == sum(refund["amount"] for refund in stripe.refunds())
    assert funnel.disputed.minor_units == sum(charge["amount"] for charge in charged if charge["disputed"])
    # free offers are charged nowhere, and are sold
    assert funnel.counts[Step.CHARGED] >= len(charged) > 50
    assert set(funnel.leaks) >= {Leak.HELD_OUT, Leak.NOT_SEEN, Leak.DECLINED, Leak.EXPIRED, Leak.UNDONE, Leak.REFUNDED}
    assert funnel.leaks[Leak.BANK_SAID_NO] + funnel.leaks[Leak.CHECK_ABANDONED] > 5


def _holds(added: Uplift, truth: Truth) -> None:
    assert added.share_bp == 2_000
    assert added.arms["holdout"].orders > 150
    assert sum(moments.orders for moments in added.arms.values()) == truth.orders
    assert added.sample is not None
    assert not added.sample.is_mismatch
    assert added.comparison is not None
    assert added.comparison.any_day is not None
    assert added.comparison.once is not None
    assert truth.uplift in added.comparison.any_day
    assert truth.uplift in added.comparison.once
    # what shoppers came with says most of what they went with
    assert isinstance(added.comparison.result, Estimate)
    assert added.comparison.result.explained > 0.5
