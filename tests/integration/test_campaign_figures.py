"""What the list of campaigns says of each: counts, and what a shown order brought, as a recount of the rows has it."""

from __future__ import annotations

from datetime import timedelta
from math import sqrt
from statistics import fmean, pvariance

import histories
import pytest
from conftest import START, Shop

from flask_encore.domain.charges import PAID
from flask_encore.domain.money import Money
from flask_encore.services import campaign_figures, rolling
from flask_encore.services.campaign_figures import Figures

BEGINS = START - timedelta(days=30)


def nets(shop: Shop, ref: str, currency: str) -> list[int]:
    """What each shown order of a campaign left with the shop, minor units, from the rows alone."""
    back: dict[str, int] = {}
    for row in shop.rows("refunds"):
        if row["status"] == "succeeded":
            back[row["charge_id"]] = back.get(row["charge_id"], 0) + row["amount_minor"]
    charged = {row["id"]: row for row in shop.rows("charges")}
    found = []
    for row in shop.rows("decisions"):
        if row["account"] or row["outcome"] != "offered" or row["currency"] != currency:
            continue
        charge = charged.get(row["id"])
        seen = charge or row["shown_at"] or row["declined_at"] or row["sold_out_at"]
        if (row["campaign_ref"] or "built-in") == ref and seen:
            found.append(_net(charge, back))
    return found


def _net(charge: dict[str, object] | None, back: dict[str, int]) -> int:
    if charge is None or charge["status"] not in PAID:
        return 0
    amount = charge["amount_minor"]
    assert isinstance(amount, int)
    kept = amount - min(amount, back.get(str(charge["id"]), 0)) if charge["status"] == "succeeded" else 0
    fee = charge["fee_minor"] if charge["fee_currency"] == charge["currency"] else 0
    return kept - (fee if isinstance(fee, int) else 0)


@pytest.mark.parametrize("is_counted", [False, True], ids=["from the rows", "counted beforehand"])
def test_what_a_shown_order_brought_is_the_mean_of_the_rows(any_shop: Shop, is_counted: bool) -> None:
    histories.write(any_shop, seed=5, count=3_000, begins=BEGINS, days=20)
    if is_counted:
        assert rolling.rebuild(any_shop.rt) > 0
    told = campaign_figures.figures(any_shop.rt)

    checked = 0
    for ref in ("tea-with-mugs", "wrap", "built-in"):
        for one in told[ref].per_shown:
            each = nets(any_shop, ref, one.currency)
            assert (one.shown, one.net) == (len(each), Money(sum(each), one.currency))
            if one.value is None:
                assert len(each) < 100
                continue
            assert one.interval is not None
            assert one.value == pytest.approx(fmean(each))
            half = 1.959964 * sqrt(pvariance(each) / (len(each) - 1))
            assert one.interval.high - one.value == pytest.approx(half, rel=1e-4)
            checked += 1
    assert checked > 2


def test_the_figures_take_four_statements_however_many_campaigns_and_orders(any_shop: Shop) -> None:
    counts = []
    for seed, count in ((5, 30), (6, 600)):
        histories.write(any_shop, seed=seed, count=count, begins=BEGINS, days=20)
        with histories.statements(any_shop) as log:
            campaign_figures.figures(any_shop.rt)
        counts.append(sum(one.lstrip().upper().startswith(("SELECT", "WITH")) for one in log))

    assert counts == [4, 4]


def test_a_campaign_that_was_never_offered_has_no_figures(any_shop: Shop) -> None:
    assert campaign_figures.figures(any_shop.rt) == {}
    assert Figures().per_shown == ()
