"""Two hands at one moment: one experiment starts about a campaign, and one variant is written for an order."""

from __future__ import annotations

import threading
from typing import Any

from campaigns import launch, shown
from conftest import Shop
from experiments import begin, defined, exposures

from flask_encore.services import experimenting
from flask_encore.services.experiment_schema import ExperimentRefused
from flask_encore.services.experimenting import Conflict


def together(*acts: Any) -> list[Any]:
    """What each of *acts* answered or raised, all begun at one moment."""
    answers: list[Any] = [None] * len(acts)
    gate = threading.Barrier(len(acts))

    def run(place: int) -> None:
        gate.wait()
        try:
            answers[place] = acts[place]()
        except Exception as error:
            answers[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_of_two_that_start_about_one_campaign_one_is_refused(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea")
    for ref in ("first", "second"):
        experimenting.create(shop.rt, defined(ref), actor="anna")
    answers = together(
        *(lambda ref=ref: experimenting.start(shop.rt, ref, actor="anna", expected=1) for ref in ("first", "second"))
    )
    refused = [one for one in answers if isinstance(one, ExperimentRefused)]
    assert len(refused) == 1
    assert list(refused[0].errors) == ["campaign"]
    assert sorted(one.status.value for one in experimenting.listed(shop.rt)) == ["draft", "running"]


def test_two_about_different_campaigns_both_start(any_shop: Shop) -> None:
    """The control: it is the campaign that refuses, and not the moment."""
    shop = any_shop
    for ref in ("tea", "mug"):
        launch(shop, ref)
        experimenting.create(shop.rt, defined(ref, campaign=ref), actor="anna")
    together(*(lambda ref=ref: experimenting.start(shop.rt, ref, actor="anna", expected=1) for ref in ("tea", "mug")))
    assert [one.status.value for one in experimenting.listed(shop.rt)] == ["running", "running"]


def test_of_two_who_stop_it_one_note_is_kept(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea")
    saved = begin(shop)
    answers = together(
        *(
            lambda who=who: experimenting.stop(shop.rt, "words", actor=who, expected=saved.version, note=who)
            for who in ("anna", "ben")
        )
    )
    [done] = [one for one in answers if not isinstance(one, Exception)]
    assert [type(one) for one in answers if isinstance(one, Exception)] == [Conflict]
    assert done.note == done.updated_by
    assert experimenting.find(shop.rt, "words") == done


def test_two_tabs_of_one_order_write_one_decision_with_one_exposure(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea")
    begin(shop)
    shop.pay()
    answers = together(lambda: shown(shop), lambda: shown(shop))
    assert len({offered[0].decision["id"] for offered in answers}) == 1
    assert len(exposures(shop)) == 1
