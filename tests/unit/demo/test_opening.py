"""Opening the shop: which Stripe, which folder, which port, and one sentence when it cannot open."""

from __future__ import annotations

from pathlib import Path

import pytest

from flask_encore.demo.__main__ import Closed, local_zone, main, reset, stripe_access
from flask_encore.demo.checkout import STRIPE_API


def test_without_a_key_stripe_is_simulated() -> None:
    assert stripe_access({}) is None


def test_test_keys_lead_to_stripes_test_mode() -> None:
    access = stripe_access({"STRIPE_SECRET_KEY": "sk_test_a", "STRIPE_PUBLISHABLE_KEY": "pk_test_a"})

    assert access is not None
    assert (access.api_base, access.simulated) == (STRIPE_API, False)
    assert access.origins["form-action"] == ("https://checkout.stripe.com",)


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"STRIPE_SECRET_KEY": "sk_live_a"}, "is a live key, and the demo never touches real money"),
        ({"STRIPE_SECRET_KEY": "rk_live_a"}, "is a live key"),
        ({"STRIPE_SECRET_KEY": "sk_test_a", "STRIPE_PUBLISHABLE_KEY": "pk_live_a"}, "is a live key"),
        ({"STRIPE_SECRET_KEY": "nonsense"}, "it has to start with sk_test_"),
        ({"STRIPE_SECRET_KEY": "sk_test_a"}, "STRIPE_PUBLISHABLE_KEY is missing"),
    ],
)
def test_any_other_key_is_refused_with_a_sentence(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(Closed, match=sentence):
        stripe_access(environ)


def test_a_live_key_ends_the_command_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["--instance", str(tmp_path / "shop")], {"STRIPE_SECRET_KEY": "sk_live_secret"})

    assert status == 2
    told = capsys.readouterr().err
    assert told.startswith("The shop cannot open: STRIPE_SECRET_KEY is a live key")
    assert "secret" not in told.replace("STRIPE_SECRET_KEY", "")
    assert not (tmp_path / "shop").exists()


def test_a_missing_history_ends_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path / "nothing.csv")], {}) == 2
    assert capsys.readouterr().err == f"The shop cannot open: there is no file {tmp_path / 'nothing.csv'}.\n"


def test_the_time_zone_is_the_computers_own(tmp_path: Path) -> None:
    zone = tmp_path / "zoneinfo" / "Europe" / "Vienna"
    zone.parent.mkdir(parents=True)
    zone.touch()
    (tmp_path / "localtime").symlink_to(zone)

    assert local_zone({"TZ": ":Asia/Tokyo"}, tmp_path / "localtime") == "Asia/Tokyo"
    assert local_zone({"TZ": "CET-1"}, tmp_path / "localtime") == "Europe/Vienna"
    assert local_zone({}, tmp_path / "nowhere") == "UTC"


def test_reset_takes_away_what_a_shop_left_and_nothing_else(tmp_path: Path) -> None:
    for name in ("shop.sqlite3", "shop.sqlite3-wal", "encore.sqlite3", "session-key", "lock", "letter-to-grandma.txt"):
        (tmp_path / name).touch()
    (tmp_path / "encore-models").mkdir()

    reset(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["letter-to-grandma.txt", "lock"]
