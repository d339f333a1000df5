"""Experiments on the recommender: which saved model ranks an order, and what happens when it cannot."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from campaigns import decisions, launch, shown, told
from conftest import Shop, ShopFactory
from experiments import begin, exposures
from money import statements

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.offers import Candidate
from flask_encore.domain.training import SavedModel
from flask_encore.services import experimenting, explaining, previewing
from flask_encore.services.experiment_schema import ExperimentRefused
from flask_encore.testing import FixedRanker


class TwoModels(FixedRanker):
    """Ranks the mug live, and the tea by its model ``old``."""

    def __init__(self) -> None:
        super().__init__("mug", version="live")
        self.asked: list[str] = []
        self.slow = 0.0

    def ranked_by(
        self, version: str, basket: Sequence[str], *, k: int, exclude: Collection[str] = (), history: Sequence[str] = ()
    ) -> Sequence[Candidate]:
        self.asked.append(version)
        time.sleep(self.slow)
        if version != "old":
            raise InvalidInput(f"There is no model {version!r}.")
        return FixedRanker("tea").rank(basket, k=k, exclude=exclude)


class Kept:
    """A trainer that has two models and remembers what it was told to keep."""

    def __init__(self) -> None:
        self.kept: list[set[str]] = []

    def models(self) -> list[SavedModel]:
        at = datetime(2026, 3, 1, tzinfo=UTC)
        return [
            SavedModel(version=version, trained_at=at, orders=500, hit_rate_at_3=0.5, live=version == "live")
            for version in ("live", "old")
        ]

    def keep(self, versions: Collection[str]) -> None:
        self.kept.append(set(versions))


def variants(new: int = 9_999, model: str = "old") -> list[dict[str, Any]]:
    return [{"name": "as it is", "weight": 10_000 - new}, {"name": "new", "weight": new, "model": model}]


MODEL: dict[str, Any] = {"varies": "model", "campaign": None}


@pytest.fixture
def trainer() -> Kept:
    return Kept()


@pytest.fixture
def modelled(any_shop: Shop, trainer: Kept) -> Shop:
    """A shop whose ranker knows an older model, with products that fit both."""
    shop = any_shop
    return with_models(shop, trainer)


def with_models(shop: Shop, trainer: Kept) -> Shop:
    object.__setattr__(shop.rt, "ranker", TwoModels())
    object.__setattr__(shop.rt, "trainer", trainer)
    return shop


def test_the_assigned_model_ranks_when_the_order_is_recorded_and_every_first_decision_logs_it(modelled: Shop) -> None:
    shop = modelled
    begin(shop, **MODEL, variants=variants(5_000))
    refs = [f"o-{n}" for n in range(10)]
    for ref in refs:
        shop.pay(ref, customer_ref=ref)
        shown(shop, ref)

    offered = {ref: decisions(shop, ref)[0] for ref in refs}
    assert {row["sku"] for row in offered.values()} == {"mug", "tea"}
    for row in offered.values():
        named = row["sku"] == "tea"
        assert row["exposures"] == {"words": "new" if named else "as it is"}
        assert row["model_version"] == ("old" if named else "live")
    [found] = explaining.explain(shop.rt, "o-0") or ()
    assert found.is_reproduced is True


def test_it_is_logged_whichever_campaign_speaks_and_not_at_later_steps(modelled: Shop) -> None:
    shop = modelled
    launch(shop, "pot", rule={"sku": {"any": ["mug"]}}, offer={"kind": "fixed", "skus": ["pot"]}, on_decline="more")
    launch(shop, "more", begins=False, offer={"kind": "fixed", "skus": ["tea"]})
    begin(shop, **MODEL, variants=variants())
    shop.pay(skus=("mug",), total=shop.order("other").total)
    assert told(shop) == [("pot", "pot")]
    shop.post(shop.token(), "decline")
    assert told(shop) == [("pot", "pot"), ("more", "tea")]
    assert exposures(shop) == [{"words": "new"}, None]


def test_a_model_that_is_gone_leaves_the_order_to_the_live_one_and_the_exposure_stands(modelled: Shop) -> None:
    shop = modelled
    begin(shop, **MODEL, variants=variants())
    shop.rt.ranker.ranked_by = lambda *_, **__: (_ for _ in ()).throw(OSError("the disk is gone"))  # type: ignore[attr-defined]
    shop.pay()

    assert told(shop) == [("built-in", "mug")]
    [row] = decisions(shop)
    assert (row["model_version"], row["exposures"]) == ("live", {"words": "new"})
    [found] = explaining.explain(shop.rt, "1042") or ()
    assert [(one.variant, one.campaign, one.applied) for one in found.experiments] == [("new", None, False)]
    assert shop.rt.counts["model_variant_not_ranked"] == 1


def test_a_model_that_takes_too_long_takes_half_of_the_time_and_no_more(make_shop: ShopFactory, trainer: Kept) -> None:
    shop = with_models(make_shop(ENCORE_DECISION_BUDGET_MS=400), trainer)
    begin(shop, **MODEL, variants=variants())
    shop.rt.ranker.slow = 1.0  # type: ignore[attr-defined]
    order = shop.order()
    started = time.monotonic()
    with shop.app.app_context():
        shop.encore.order_paid(order)
    assert time.monotonic() - started < 0.9
    assert told(shop) == [("built-in", "mug")]
    assert exposures(shop) == [{"words": "new"}]


def test_its_own_holdout_is_ranked_and_shown_nothing(modelled: Shop) -> None:
    shop = modelled
    halves = [{"name": "as it is", "weight": 2_500}, {"name": "new", "weight": 2_500}]
    begin(shop, **MODEL, variants=halves, holdout=5_000)
    held = []
    for number in range(10):
        shop.pay(f"o-{number}", customer_ref=f"o-{number}")
        shown(shop, f"o-{number}")
        [row] = decisions(shop, f"o-{number}")
        held.append((row["exposures"]["words"] == "holdout", row["outcome"]))
    assert set(held) == {(True, "held_out"), (False, "offered")}


def test_recording_costs_the_same_statements_with_an_experiment_as_without(modelled: Shop) -> None:
    shop = modelled
    with statements(shop) as before:
        shop.pay("1")
    begin(shop, **MODEL, variants=variants())
    shop.pay("2")  # the first order after a change reads it
    with statements(shop) as after:
        shop.pay("3")
    assert after == before


def test_models_in_a_running_experiment_are_kept_and_let_go_when_it_stops(modelled: Shop, trainer: Kept) -> None:
    shop = modelled
    saved = begin(shop, **MODEL, variants=variants())
    experimenting.stop(shop.rt, "words", actor="tests", expected=saved.version)
    assert trainer.kept == [{"old"}, set()]


def test_a_model_that_there_is_none_of_is_refused_at_the_start(modelled: Shop) -> None:
    shop = modelled
    with pytest.raises(ExperimentRefused) as refusal:
        begin(shop, **MODEL, variants=variants(model="2019"))
    assert refusal.value.errors == {"variants[1].model": ["there is no such model; there are: live, old."]}


def test_a_shop_with_a_ranker_of_its_own_has_no_models_to_compare(shop: Shop) -> None:
    with pytest.raises(ExperimentRefused, match="own ranker has no versions"):
        begin(shop, **MODEL, variants=variants())


def test_two_experiments_on_the_model_are_refused(modelled: Shop) -> None:
    shop = modelled
    begin(shop, **MODEL, variants=variants())
    with pytest.raises(ExperimentRefused, match="'words' varies the model already"):
        begin(shop, "second", **MODEL, variants=variants())


def test_each_model_is_tried_on_a_past_order(modelled: Shop) -> None:
    shop = modelled
    saved = begin(shop, **MODEL, variants=variants(1))
    shop.pay()
    found = [previewing.preview_variant(shop.rt, saved.experiment, name, "1042") for name in ("as it is", "new")]
    assert [one.title for one in found] == ["Enamel mug", "Assam tea, 250 g"]


def test_a_model_is_rolled_out_by_putting_it_live(
    modelled: Shop, trainer: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = modelled
    used: list[str] = []
    monkeypatch.setattr(trainer, "use", used.append, raising=False)
    saved = begin(shop, **MODEL, variants=variants())
    stopped = experimenting.stop(shop.rt, "words", actor="tests", expected=saved.version)
    done = experimenting.roll_out(shop.rt, "words", "new", actor="anna", expected=stopped.version)
    assert (used, done.rolled_out) == (["old"], "new")
    told = [(row["actor"], row["action"], row["subject"]) for row in shop.rows("audit")][-2:]
    assert told == [("anna", "use_model", "the recommender"), ("anna", "roll_out", "experiment words")]


def test_models_that_cannot_be_kept_are_a_refusal_and_nothing_starts(
    modelled: Shop, trainer: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_versions: object) -> None:
        raise OSError("no space left on device")

    shop = modelled
    monkeypatch.setattr(trainer, "keep", full)
    with pytest.raises(ExperimentRefused, match="no space left on device"):
        begin(shop, **MODEL, variants=variants())
    found = experimenting.find(shop.rt, "words")
    assert found is not None
    assert found.status == "draft"


def test_a_preview_is_of_now_whatever_the_order_was_dealt(modelled: Shop) -> None:
    shop = modelled
    begin(shop, **MODEL, variants=variants())
    shop.pay()
    assert previewing.preview(shop.rt, None, "1042").exposed == ()
