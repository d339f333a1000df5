"""``flask encore campaigns`` and ``flask encore switch`` as a merchant's engineer types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from conftest import Shop, ShopFactory

from flask_encore.cli import cli, terminal
from flask_encore.services import auditing, campaigning, switching

TEA: dict[str, Any] = {
    "ref": "tea-with-pots",
    "name": "Tea with every pot",
    "status": "draft",
    "rule": {"all": [{"sku": {"any": ["pot"]}}]},
    "offer": {"kind": "fixed", "skus": ["tea"], "discount": {"percent": 10}},
    "copy": {"de": {"headline": "Tee für die Kanne?"}},
}
MUG: dict[str, Any] = {
    "ref": "mug",
    "name": "A mug",
    "status": "live",
    "priority": 5,
    "offer": {"kind": "fixed", "skus": ["mug", "cup"]},
}


def run(shop: Shop, *words: str) -> Result:
    return shop.app.test_cli_runner().invoke(cli, list(words))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two campaigns."""
    path = tmp_path / "campaigns.json"
    path.write_text(json.dumps({"format": 1, "campaigns": [TEA, MUG]}))
    return path


def imported(shop: Shop, file: Path) -> None:
    assert run(shop, "campaigns", "import", str(file), "--actor", "ana").exit_code == 0


def test_a_file_is_imported_listed_and_exported(shop: Shop, file: Path, tmp_path: Path) -> None:
    first = run(shop, "campaigns", "import", str(file), "--actor", "ana")
    again = run(shop, "campaigns", "import", str(file))
    exported = run(shop, "campaigns", "export", "--output", str(tmp_path / "out.json"))

    assert first.output == "2 created: tea-with-pots, mug\n0 changed\n0 unchanged\n"
    assert again.output == "0 created\n0 changed\n2 unchanged\n"
    assert exported.output == f"2 campaigns are in {tmp_path / 'out.json'}.\n"
    text = (tmp_path / "out.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"format": 1, "campaigns": [MUG, TEA]}
    assert "Tee für die Kanne?" in text and text.endswith("}\n")
    assert run(shop, "campaigns", "export").output == text
    assert run(shop, "campaigns", "list").output.splitlines() == [
        "mug                            live           5  fixed          A mug",
        "tea-with-pots                  draft          0  fixed          Tea with every pot",
    ]
    assert {entry.actor for entry in auditing.history(shop.rt)} == {"ana"}


def test_a_dry_run_says_what_it_would_do(shop: Shop, file: Path) -> None:
    result = run(shop, "campaigns", "import", str(file), "--dry-run")

    assert result.output == "2 would be created: tea-with-pots, mug\n0 would be changed\n0 would be unchanged\n"
    assert campaigning.listed(shop.rt) == []


def test_a_wrong_file_changes_nothing_and_lists_every_path(shop: Shop, tmp_path: Path) -> None:
    wrong = [TEA, MUG | {"offer": {"kind": "fixd"}, "prioritty": 5}, TEA | {"ref": "Tea"}]
    (tmp_path / "wrong.json").write_text(json.dumps({"format": 1, "campaigns": wrong}))

    result = run(shop, "campaigns", "import", str(tmp_path / "wrong.json"))

    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "Error: Nothing was changed.",
        "campaigns[1].offer.kind: has to be one of complementary, fixed, service, buy_get, bundle, more, got 'fixd'. "
        "Did you mean 'fixed'?",
        "campaigns[1].prioritty: is not known here. Did you mean 'priority'?",
        "campaigns[2].ref: has to be 1 to 64 small letters, digits and hyphens, got 'Tea'.",
    ]
    assert campaigning.listed(shop.rt) == []


def test_a_file_that_is_not_json_is_refused_in_a_sentence(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "wrong.json").write_text('{"format": 1,\n "campaigns": [}')

    result = run(shop, "campaigns", "import", str(tmp_path / "wrong.json"))

    assert result.exit_code == 1
    assert "The file is not JSON: Expecting value in line 2, column 16." in result.stderr


def test_a_campaign_goes_live_is_paused_and_ends(shop: Shop, file: Path) -> None:
    imported(shop, file)

    results = [run(shop, "campaigns", word, "tea-with-pots", "--actor", "ben") for word in ("live", "pause", "end")]

    assert [result.output for result in results] == [
        "tea-with-pots is live.\n",
        "tea-with-pots is paused.\n",
        "tea-with-pots is ended.\n",
    ]
    refused = run(shop, "campaigns", "live", "tea-with-pots")
    assert refused.exit_code == 1
    assert "status: cannot become live: the campaign is ended, and duplicate it instead." in refused.stderr
    assert [entry.actor for entry in auditing.history(shop.rt, subject="tea-with-pots")] == ["ben"] * 3 + ["ana"]


def test_going_live_says_what_will_keep_it_from_selling(shop: Shop, file: Path) -> None:
    imported(shop, file)
    run(shop, "campaigns", "pause", "mug")

    assert run(shop, "campaigns", "live", "mug").output == "mug is live.\n! The catalogue has no product 'cup'.\n"


def test_a_campaign_that_starts_later_is_scheduled(shop: Shop) -> None:
    campaigning.save(shop.rt, TEA | {"starts_at": "2026-03-09T09:00"}, actor="ana", expected=None)

    result = run(shop, "campaigns", "live", "tea-with-pots")

    assert result.output == "tea-with-pots is scheduled, from 2026-03-09 09:00 on.\n"


def test_showing_a_campaign_prints_it_as_a_file_has_it(shop: Shop, file: Path) -> None:
    imported(shop, file)

    head, *rest = run(shop, "campaigns", "show", "mug").output.splitlines()
    as_json = json.loads(run(shop, "campaigns", "show", "mug", "--json").output)

    assert head == "mug is live; version 1, changed 2026-03-02 14:03 UTC by ana"
    assert json.loads("\n".join(rest[:-1])) == MUG
    assert rest[-1] == "! The catalogue has no product 'cup'."
    assert as_json == {
        "state": "live",
        "version": 1,
        "created_at": "2026-03-02T14:03:00+00:00",
        "updated_at": "2026-03-02T14:03:00+00:00",
        "updated_by": "ana",
        "campaign": MUG,
        "doubts": ["The catalogue has no product 'cup'."],
    }
    assert [one["campaign"]["ref"] for one in json.loads(run(shop, "campaigns", "list", "--json").output)] == [
        "mug",
        "tea-with-pots",
    ]


@pytest.mark.parametrize("words", [["show"], ["live"], ["pause"], ["end"], ["duplicate", "new"]])
def test_a_campaign_that_is_not_there_is_refused(shop: Shop, words: list[str]) -> None:
    result = run(shop, "campaigns", words[0], "coffee", *words[1:])

    assert result.exit_code == 1
    assert result.stderr == "Error: There is no campaign 'coffee'.\n"


def test_a_duplicate_is_a_draft(shop: Shop, file: Path) -> None:
    imported(shop, file)

    result = run(shop, "campaigns", "duplicate", "mug", "more-mugs")

    assert result.output == "more-mugs is a draft like mug. Next: flask encore campaigns live more-mugs\n"
    assert run(shop, "campaigns", "duplicate", "mug", "more-mugs").stderr == (
        "Error: There is a campaign 'more-mugs' already; nothing was saved.\n"
    )


def test_the_history_says_who_changed_what(shop: Shop, file: Path) -> None:
    imported(shop, file)
    run(shop, "campaigns", "pause", "mug", "--actor", "ben")
    run(shop, "switch", "off", "--actor", "cy")

    assert run(shop, "campaigns", "history").output.splitlines() == [
        "2026-03-02 14:03 UTC  cy  switch  switches",
        "    off: False → True",
        "2026-03-02 14:03 UTC  ben  status  mug",
        "    status: live → paused",
        "2026-03-02 14:03 UTC  ana  import  mug",
        "2026-03-02 14:03 UTC  ana  import  tea-with-pots",
    ]
    assert run(shop, "campaigns", "history", "mug", "--limit", "1").output.splitlines() == [
        "2026-03-02 14:03 UTC  ben  status  mug",
        "    status: live → paused",
    ]
    (entry,) = json.loads(run(shop, "campaigns", "history", "tea-with-pots", "--json").output)
    assert (entry["actor"], entry["action"], entry["before"], entry["after"]) == ("ana", "import", None, TEA)
    assert run(shop, "campaigns", "history", "coffee").output == "Nothing of 'coffee' was ever changed.\n"


def test_a_shop_without_campaigns_is_told_what_to_do(shop: Shop) -> None:
    assert "There is no campaign yet." in run(shop, "campaigns", "list").output
    assert run(shop, "campaigns", "history").output == "Nothing was changed yet.\n"
    assert json.loads(run(shop, "campaigns", "export").output) == {"format": 1, "campaigns": []}


def test_switches_are_turned_and_told(shop: Shop) -> None:
    said = [
        run(shop, "switch", *words).output for words in ([], ["off"], ["shadow", "on"], ["on"], ["shadow", "off"], [])
    ]

    assert said == [
        "Offers are on. Shadow mode is off.\n",
        "Offers are off. Shadow mode is off.\n",
        "Offers are off. Shadow mode is on.\n",
        "Offers are on. Shadow mode is on.\n",
        "Offers are on. Shadow mode is off.\n",
        "Offers are on. Shadow mode is off.\n",
    ]
    assert json.loads(run(shop, "switch", "--json").output) == {"off": False, "shadow": False, "revision": 4}
    assert run(shop, "switch", "shadow", "maybe").exit_code == 2


def test_without_a_name_the_log_has_the_login_name(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal.getpass, "getuser", lambda: "ana")
    run(shop, "switch", "off")

    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(terminal.getpass, "getuser", nobody)
    run(shop, "switch", "on")

    assert [entry.actor for entry in auditing.history(shop.rt)] == ["cli", "cli:ana"]


def test_an_actor_that_cannot_be_kept_changes_nothing(shop: Shop) -> None:
    result = run(shop, "switch", "off", "--actor", "")

    assert result.exit_code == 1
    assert result.stderr == "Error: actor has to be a non-empty string, got ''.\n"
    assert switching.switches(shop.rt) == switching.Switches()


def test_before_the_tables_are_there_the_fix_is_told(make_shop: ShopFactory) -> None:
    shop = make_shop(upgrade=False)

    result = run(shop, "campaigns", "list")

    assert result.exit_code == 1
    assert "Are the tables there? Run: flask encore db upgrade" in result.stderr
