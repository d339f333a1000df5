"""The doctor speaks of switches that keep every offer back, and of live campaigns that will not sell."""

from __future__ import annotations

from campaigns import launch
from conftest import Shop

from flask_encore.services import campaigning, doctoring, switching


def found(shop: Shop, *subjects: str) -> list[tuple[str, str, str]]:
    """(severity, subject, what was found) of these subjects, campaigns by their beginning."""
    findings = doctoring.examine(shop.rt, guarded=True)
    return [(one.severity, one.subject, one.found) for one in findings if one.subject.startswith(subjects)]


def test_switches_that_keep_every_offer_back_are_warned_of(any_shop: Shop) -> None:
    assert found(any_shop, "kill", "shadow") == []

    switching.turn(any_shop.rt, actor="tests", off=True, shadow=True)

    assert found(any_shop, "kill", "shadow") == [
        ("warning", "kill switch", "all offers are switched off"),
        ("warning", "shadow mode", "offers are decided and logged, and shown to nobody"),
    ]


def test_a_live_campaign_that_will_not_sell_is_named_with_its_doubt(any_shop: Shop) -> None:
    launch(any_shop, "tea")
    launch(any_shop, "gone", offer={"kind": "fixed", "skus": ["vanished"]})
    launch(any_shop, "unfinished", status="draft", offer={"kind": "fixed", "skus": ["vanished"]})

    (count, (severity, subject, sentence)) = found(any_shop, "campaign")
    assert count == ("ok", "campaigns", "2 of 3 are live")
    assert (severity, subject) == ("warning", "campaign gone")
    assert sentence == campaigning.doubts(any_shop.rt, campaigning.listed(any_shop.rt)[0].campaign)[0]
    assert "vanished" in sentence
