"""Invariant I9: whatever breaks in Encore costs the offer, never the host's page."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop, ShopFactory, let_lanes_end
from flask import render_template_string
from hosts import closed_port, on_postgresql, together, write_locked
from jinja2 import DictLoader, Environment

from flask_encore import signals
from flask_encore.domain.offers import Candidate
from flask_encore.services.lanes import Lanes, OverBudget
from flask_encore.web import drawing

HOST_PAGE = b"<!doctype html><html><body><main><h1>Order 1042 is confirmed</h1></main></body></html>"

#: Far more than any budget used here, far less than the waits that would follow without one.
SOON = 4.0


def assert_untouched(shop: Shop, caplog: pytest.LogCaptureFixture, counted: str) -> None:
    """The page comes soon and as the host made it; the log and the counts say why."""
    caplog.clear()
    before, started = shop.rt.counts[counted], time.monotonic()
    response = shop.page()

    assert time.monotonic() - started < SOON
    assert (response.status_code, response.data) == (200, HOST_PAGE)
    assert dict(response.headers) == {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": str(len(HOST_PAGE)),
    }
    assert shop.rt.counts[counted] == before + 1
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == [
        "no offer on the page of order 1042"
    ]


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """Set at the end of the test: lets what hangs go."""
    event = threading.Event()
    yield event
    event.set()


# The database


def test_a_write_lock_held_by_somebody_else_costs_the_first_visit_its_offer(
    make_shop: ShopFactory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shop = make_shop(ENCORE_DECISION_BUDGET_MS=100)
    shop.pay()
    with write_locked(tmp_path / "encore.sqlite3"):
        response = shop.page()

    assert response.data == HOST_PAGE
    # The statement's own patience and the page's are equally long; either may end first.
    assert shop.rt.counts["page_OperationalError"] + shop.rt.counts["page_OverBudget"] == 1
    assert "no offer on the page of order 1042" in caplog.text
    assert shop.rows("decisions") == []


def test_an_offer_that_was_decided_is_shown_while_the_database_takes_no_writes(
    make_shop: ShopFactory, tmp_path: Path
) -> None:
    shop = make_shop()
    shop.pay()
    shop.page()
    with write_locked(tmp_path / "encore.sqlite3"):
        assert "encore-offer" in shop.page().text


@on_postgresql
@pytest.mark.parametrize("as_engine", [False, True], ids=["our engine", "the host's engine"])
@pytest.mark.parametrize("table", ["encore_orders", "encore_decisions"])
def test_a_table_locked_on_postgresql_costs_the_page_no_more_than_its_budget(
    make_shop: ShopFactory,
    database_uri: str,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
    as_engine: bool,
    table: str,
) -> None:
    host_engine = sa.create_engine(database_uri)
    request.addfinalizer(host_engine.dispose)
    shop = make_shop(database_uri, engine=host_engine if as_engine else None, ENCORE_DECISION_BUDGET_MS=100)
    shop.pay()
    other = sa.create_engine(database_uri)
    request.addfinalizer(other.dispose)

    with other.begin() as connection:
        connection.execute(sa.text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
        started = time.monotonic()
        response = shop.page()
        took = time.monotonic() - started
    let_lanes_end()

    assert took < SOON
    assert response.data == HOST_PAGE
    assert shop.rt.counts["page_OperationalError"] + shop.rt.counts["page_OverBudget"] == 1


def test_tables_that_were_never_made_cost_the_offer(
    make_shop: ShopFactory, database_uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    shop = make_shop(database_uri, upgrade=False)
    counted = "page_OperationalError" if database_uri.startswith("sqlite") else "page_ProgrammingError"

    assert_untouched(shop, caplog, counted)


def test_a_server_that_is_gone_costs_the_offer(make_shop: ShopFactory, caplog: pytest.LogCaptureFixture) -> None:
    shop = make_shop(f"postgresql+psycopg://encore@127.0.0.1:{closed_port()}/nothing", upgrade=False)

    assert_untouched(shop, caplog, "page_OperationalError")


@on_postgresql
def test_a_server_that_comes_back_gives_the_offers_back(
    make_shop: ShopFactory, database_uri: str, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    shop = make_shop(database_uri)
    shop.pay()
    admin = sa.create_engine(sa.make_url(database_uri).set(database="postgres"), isolation_level="AUTOCOMMIT")
    request.addfinalizer(admin.dispose)
    with admin.connect() as connection:
        connection.execute(
            sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
            {"name": sa.make_url(database_uri).database},
        )

    # No page lost to a restart but the one that found out.
    shop.page()
    assert "encore-offer" in shop.page().text


def test_connections_that_are_all_in_use_cost_the_offer(
    make_shop: ShopFactory, caplog: pytest.LogCaptureFixture
) -> None:
    shop = make_shop(ENCORE_DECISION_BUDGET_MS=100)
    shop.pay()
    with ExitStack() as everything:
        for _ in range(15):
            everything.enter_context(shop.rt.db.read(hasty=True))
        assert shop.page().data == HOST_PAGE

    assert shop.rt.counts["page_TimeoutError"] + shop.rt.counts["page_OverBudget"] == 1
    assert "encore-offer" in shop.page().text


def test_looking_up_that_never_ends_costs_the_offer_and_a_bounded_number_of_threads(
    make_shop: ShopFactory,
    monkeypatch: pytest.MonkeyPatch,
    stuck: threading.Event,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop = make_shop(ENCORE_DECISION_BUDGET_MS=10)
    shop.pay()
    monkeypatch.setattr("flask_encore.web.injection.sequence_for", lambda rt, order_ref, page: stuck.wait(60))

    for _ in range(20):
        assert_untouched(shop, caplog, "page_OverBudget")

    assert [thread.name for thread in threading.enumerate()].count("encore-deciding") == 16


# The recommender


class Mad:
    """A ranker that does what it is told."""

    version = "mad"

    def __init__(self, answer: Callable[[], Any]) -> None:
        self._answer = answer

    def rank(self, basket: Sequence[str], *, k: int, exclude: Collection[str] = (), history: Sequence[str] = ()) -> Any:
        """Whatever it was told."""
        return self._answer()


def test_a_recommender_over_its_budget_costs_the_offer(
    make_shop: ShopFactory, stuck: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    shop = make_shop(ranker=Mad(lambda: stuck.wait(60)), ENCORE_DECISION_BUDGET_MS=100)
    started = time.monotonic()
    shop.pay()

    assert shop.page().data == HOST_PAGE
    assert time.monotonic() - started < SOON
    assert [(row["outcome"], row["reason"]) for row in shop.rows("decisions")] == [("error", "ranker_timeout")]
    assert shop.rt.counts["ranker_timeout"] == 1
    assert "ranking order 1042 took over 100 ms" in caplog.text


@pytest.mark.parametrize("answer", [lambda: 1 / 0, lambda: None, lambda: ["mug"]], ids=["raises", "None", "strings"])
def test_a_recommender_that_fails_costs_the_offer(
    make_shop: ShopFactory, answer: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    shop = make_shop(ranker=Mad(answer))
    shop.pay()

    assert shop.page().data == HOST_PAGE
    assert [(row["outcome"], row["reason"]) for row in shop.rows("decisions")] == [("error", "ranker_failed")]
    assert shop.rt.counts["ranker_failed"] == 1
    assert "ranking order 1042 failed" in caplog.text


def test_a_candidate_whose_evidence_nobody_can_read_costs_the_offer(make_shop: ShopFactory) -> None:
    odd: Any = {"sku": "mug", "score": 1.0, "kind": "co_purchase", "because_of": ["pot"], "support": 9}
    shop = make_shop(ranker=Mad(lambda: [Candidate(**odd)]))
    shop.pay()

    assert shop.page().data == HOST_PAGE


# The template


@pytest.mark.parametrize(
    "templates",
    [{}, {"encore/offer/section.html": "{{ card.nonsense.at.all }}"}, {"encore/offer/section.html": "{% if %}"}],
    ids=["missing", "raises", "syntax"],
)
def test_a_broken_template_costs_the_offer(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, templates: dict[str, str]
) -> None:
    shop.pay()
    monkeypatch.setattr(drawing, "_environment", lambda: Environment(loader=DictLoader(templates), autoescape=True))
    error = "TemplateNotFound" if not templates else "UndefinedError" if "nonsense" in str(templates) else ""

    assert_untouched(shop, caplog, f"page_{error or 'TemplateSyntaxError'}")


def test_the_template_global_is_empty_when_something_breaks(
    make_shop: ShopFactory, caplog: pytest.LogCaptureFixture
) -> None:
    shop = make_shop(upgrade=False, ENCORE_THANK_YOU={})
    shop.app.add_url_rule("/page", "page", lambda: render_template_string("<p>{{ encore_offer('1042') }}</p>"))

    response = shop.app.test_client().get("/page")

    assert response.data == b"<p></p>"
    assert "Cache-Control" not in response.headers
    assert "no offer on the page of order 1042" in caplog.text


# Stripe


def test_stripe_out_of_reach_costs_the_offer(make_shop: ShopFactory, caplog: pytest.LogCaptureFixture) -> None:
    shop = make_shop(ENCORE_STRIPE_API_BASE=f"http://127.0.0.1:{closed_port()}")
    shop.pay()

    assert shop.page().data == HOST_PAGE
    assert shop.rt.counts["payment_unverified"] == 1
    assert "could not be verified now" in caplog.text


def test_the_page_itself_never_asks_stripe(shop: Shop) -> None:
    shop.pay()
    shop.stripe.forget_requests()

    assert "encore-offer" in shop.page().text
    assert "encore-offer" in shop.page().text
    assert shop.stripe.requests == []


# The host's own bugs stay the host's


def test_an_error_of_the_hosts_view_is_still_the_hosts(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_THANK_YOU={"page": "order_id"}, PROPAGATE_EXCEPTIONS=False)
    shop.app.testing = False

    @shop.app.get("/page/<order_id>")
    def page(order_id: str) -> str:
        raise LookupError(order_id)

    @shop.app.errorhandler(500)
    def sorry(_error: object) -> tuple[str, int]:
        return "<main>Sorry</main>", 500

    response = shop.app.test_client().get("/page/1042")
    assert (response.status_code, response.data) == (500, b"<main>Sorry</main>")


def test_an_observer_of_a_signal_that_raises_does_not_break_the_shoppers_click(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.pay()
    token, heard = shop.token(), []

    def broken(sender: object, event: object) -> None:
        raise RuntimeError("the host's observer")

    def working(sender: object, event: object) -> None:
        heard.append(event)

    with (
        signals.charge_succeeded.connected_to(broken, shop.app),
        signals.charge_succeeded.connected_to(working, shop.app),
    ):
        assert shop.accept(token) == "charged"

    assert len(heard) == 1
    assert "an observer of charge_succeeded failed" in caplog.text
    assert shop.rt.counts["observer_failed"] == 1


# The lanes that keep the time


def test_work_within_its_time_answers_or_raises_as_if_it_were_called() -> None:
    def time_out() -> None:
        raise TimeoutError("of the work itself")

    lanes = Lanes("test")
    assert lanes.run(lambda: 42, seconds=5) == 42
    with pytest.raises(ZeroDivisionError):
        lanes.run(lambda: 1 / 0, seconds=5)
    with pytest.raises(TimeoutError, match="of the work itself"):
        lanes.run(time_out, seconds=5)


def test_work_that_exits_is_an_error_like_any_other() -> None:
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(RuntimeError, match=r"test ended with SystemExit\(3\)"):
        Lanes("test").run(leave, seconds=5)


def test_work_over_its_time_is_left_behind(stuck: threading.Event) -> None:
    with pytest.raises(OverBudget, match="test took over 10 ms"):
        Lanes("test").run(lambda: stuck.wait(60), seconds=0.01)


def test_a_lane_is_free_again_when_its_work_ends(stuck: threading.Event) -> None:
    lanes = Lanes("test", lanes=1)
    with pytest.raises(OverBudget):
        lanes.run(lambda: stuck.wait(60), seconds=0.01)
    with pytest.raises(OverBudget, match="all lanes of test were taken for 10 ms"):
        lanes.run(lambda: 42, seconds=0.01)
    stuck.set()
    assert lanes.run(lambda: 42, seconds=5) == 42


def test_more_work_than_lanes_takes_turns() -> None:
    lanes = Lanes("test", lanes=2)
    assert together(8, lambda number: lanes.run(lambda: number, seconds=5)) == list(range(8))
