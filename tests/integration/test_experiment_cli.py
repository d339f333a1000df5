"""``flask encore experiments``: listed, shown, started and stopped."""

from __future__ import annotations

import json

from campaigns import launch
from click.testing import Result
from conftest import Shop
from experiments import defined

from flask_encore.cli import cli
from flask_encore.services import auditing, experimenting


def run(shop: Shop, *words: str) -> Result:
    return shop.app.test_cli_runner().invoke(cli, ["experiments", *words])


def test_an_experiment_is_started_shown_and_stopped(any_shop: Shop) -> None:
    shop = any_shop
    launch(shop, "tea")
    assert run(shop, "list").output.startswith("There is no experiment yet.")
    experimenting.create(shop.rt, defined(), actor="anna")
    assert run(shop, "start", "words", "--actor", "ben").output == "words is running.\n"
    assert run(shop, "stop", "words", "--actor", "ben", "--note", "No difference.").output == "words is stopped.\n"

    [told] = json.loads(run(shop, "list", "--json").output)
    assert (told["status"], told["note"], told["rolled_out"]) == ("stopped", "No difference.", None)
    assert told["experiment"]["variants"][1]["copy"] == {"en": {"headline": "Tea?"}}
    assert run(shop, "list").output.split() == ["words", "stopped", "copy", "tea", "Words"]
    shown = run(shop, "show", "words").output.splitlines()
    assert shown[:4] == [
        "words is stopped; version 3, changed 2026-03-02 14:03 UTC",
        "started 2026-03-02 14:03 UTC",
        "ended 2026-03-02 14:03 UTC",
        "No difference.",
    ]
    assert [one.actor for one in auditing.history(shop.rt, subject="experiment words")] == ["ben", "ben", "anna"]


def test_what_cannot_be_started_is_told_with_every_reason_and_exit_status_1(shop: Shop) -> None:
    experimenting.create(shop.rt, defined(), actor="anna")
    refused = run(shop, "start", "words")
    assert refused.exit_code == 1
    assert refused.output == "Error: Nothing was changed.\ncampaign: there is no campaign 'tea'.\n"
    assert run(shop, "show", "gone").output == "Error: There is no experiment 'gone'.\n"
