"""``flask encore explain``: every decision about an order in sentences, from the log alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from campaigns import launch, only, shown
from click.testing import Result
from conftest import Shop
from money import heal, take

from flask_encore.cli import cli
from flask_encore.domain import budgets, pricing
from flask_encore.services import accepting
from flask_encore.services.reasons import REFUSALS


def explain(shop: Shop, *words: str) -> Result:
    return shop.app.test_cli_runner().invoke(cli, ["explain", *words])


def lines(result: Result) -> list[str]:
    """What was printed, but for how long the decision took."""
    assert result.exit_code == 0
    return re.sub(r"decided in [\d.]+ ms", "decided in … ms", result.output).splitlines()


@pytest.fixture
def decided(any_shop: Shop) -> Shop:
    """An order that was offered tea, with other campaigns that had reasons not to speak."""
    shop = any_shop
    launch(shop, "abroad", priority=5, rule={"country": ["US"]})
    launch(shop, "gone", priority=4, offer={"kind": "fixed", "skus": ["vanished", "pot"]})
    launch(shop, "b-tea", rule={"sku": {"any": ["pot"]}})
    launch(shop, "a-tea", rule={"sku": {"any": ["pot"]}}, on_accept="more")
    launch(shop, "more", begins=False, offer={"kind": "fixed", "skus": ["mug"], "discount": {"percent": 10}})
    shop.pay()
    return shop


def test_a_decision_is_told_with_every_campaign_that_was_asked_and_every_product_that_was_weighed(
    decided: Shop,
) -> None:
    shown(decided)

    assert lines(explain(decided, "1042")) == [
        "Order 1042, thank-you page, step 1, 2026-03-02 14:03:00 UTC, decided in … ms",
        "  offered: The best candidate passed every filter.",
        "  Assam tea, 250 g, 8.50 GBP, by a-tea",
        "  Campaigns that were asked, in this order:",
        "    – abroad: country GB is not US",
        "    – gone: vanished is not in the catalogue; pot is in the order already",
        "    ✓ a-tea speaks",
        "  A tie: b-tea could have spoken as well, and the refs decided. Give one of them a higher priority.",
        "  Products that were weighed:",
        "    ✓ tea can be offered",
        "  made again from the log: the same decision",
    ]


def test_every_step_and_what_became_of_its_charge_is_told(decided: Shop) -> None:
    assert take(decided, only(decided).decision["id"]) == "charged"
    shown(decided)
    told = lines(explain(decided, "1042"))

    assert told[3] == "  accepted; the charge: succeeded"
    assert [line for line in told if line.startswith("Order")] == [
        "Order 1042, thank-you page, step 1, 2026-03-02 14:03:00 UTC, decided in … ms",
        "Order 1042, thank-you page, step 2, 2026-03-02 14:03:00 UTC, decided in … ms",
    ]
    assert "  Enamel mug, 11.61 GBP, by more" in told
    assert told.count("  made again from the log: the same decision") == 2


def test_an_order_that_was_offered_nothing_is_told_why(shop: Shop) -> None:
    shop.pay(total=shop.order("other").total, card="4242424242424242", skus=("mug", "tea"))
    shown(shop)

    assert lines(explain(shop, "1042")) == [
        "Order 1042, thank-you page, step 1, 2026-03-02 14:03:00 UTC, decided in … ms",
        "  ineligible: The recommender had nothing to say about this basket.",
        "  Campaigns that were asked, in this order:",
        "    – the built-in offer: the recommender had nothing to say about this order",
        "  made again from the log: the same decision",
    ]


def test_the_same_is_told_as_json(decided: Shop) -> None:
    shown(decided)
    found = json.loads(explain(decided, "1042", "--json").output)

    assert found["order_ref"] == "1042"
    [decision] = found["decisions"]
    assert {name: decision[name] for name in ("outcome", "campaign_ref", "total", "tied", "is_reproduced")} == {
        "outcome": "offered",
        "campaign_ref": "a-tea",
        "total": "8.50 GBP",
        "tied": ["b-tea"],
        "is_reproduced": True,
    }
    assert [(one["ref"], one["result"]) for one in decision["asked"]] == [
        ("abroad", "rule"),
        ("gone", "nothing"),
        ("a-tea", "chosen"),
    ]


def test_an_order_nobody_told_of_is_an_error_in_a_sentence(shop: Shop) -> None:
    for words in (("1042",), ("1042", "--json")):
        result = explain(shop, *words)

        assert result.exit_code == 1
        assert result.output == "Error: Encore was never told of an order '1042'. Is the ref the shop's own?\n"


def test_an_order_whose_page_nobody_opened_has_no_decision_yet(shop: Shop) -> None:
    shop.pay()

    assert lines(explain(shop, "1042")) == ["Nothing was decided about order 1042 yet: its page was not opened."]
    assert json.loads(explain(shop, "1042", "--json").output) == {"order_ref": "1042", "decisions": []}


def test_explaining_changes_nothing(decided: Shop) -> None:
    shown(decided)
    before = decided.rows("decisions"), decided.rows("orders"), len(decided.stripe.requests)
    explain(decided, "1042")

    assert (decided.rows("decisions"), decided.rows("orders"), len(decided.stripe.requests)) == before


def test_a_log_that_leads_elsewhere_and_one_without_a_trace_are_told(decided: Shop) -> None:
    shown(decided)
    for change, told in (
        ("campaign_ref = 'b-tea'", "another decision! The log does not tell the truth; please report this"),
        ("trace = NULL", "not possible, the log has no trace of it"),
    ):
        with decided.rt.db.write() as connection:
            connection.execute(sa.text(f"UPDATE encore_decisions SET {change}"))

        assert lines(explain(decided, "1042"))[-1] == f"  made again from the log: {told}"


def test_every_word_that_pricing_refuses_with_has_a_sentence() -> None:
    source = "".join(Path(str(module.__file__)).read_text(encoding="utf-8") for module in (pricing, budgets))
    words = re.findall(
        r'(?:refused=|return |else |or |_Tried\(scarce or |_Tried\(|Refused\(|too_dear\()"([a-z_]+)"', source
    )

    assert set(words) == set(REFUSALS)


def test_a_refunded_charge_is_told_as_such(decided: Shop) -> None:
    offer = only(decided)
    take(decided, offer.decision["id"])
    found = accepting.find(decided.rt, offer.decision["id"])
    assert found is not None
    accepting.undo(decided.rt, found)
    heal(decided)

    assert lines(explain(decided, "1042"))[3] == "  accepted; the charge: refunded"
