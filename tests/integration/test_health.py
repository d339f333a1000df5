"""What machines are told: alive, ready, and the numbers; with the database there and without it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop, ShopFactory
from exposition_grammar import grammatical
from flask import Response
from histories import statements
from hosts import closed_port, on_postgresql
from receivers import add, receiver

from flask_encore.services import health
from flask_encore.services.lanes import Lanes
from flask_encore.store import migrations
from flask_encore.web.current import state

TOKEN = "0123456789abcdef"
DECLINES_NEXT = "4000000000009995"


def get(shop: Shop, path: str, **headers: str) -> Any:
    return shop.app.test_client().get(f"/encore/{path}", headers=headers)


def numbers(shop: Shop) -> dict[str, str]:
    """Every series of the metrics -> its value as written."""
    answer = get(shop, "metrics")
    assert (answer.status_code, answer.content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return grammatical(answer.text)


def gone(make_shop: ShopFactory, **config: Any) -> Shop:
    """A shop whose database server nobody can reach."""
    return make_shop(
        f"postgresql+psycopg://encore:pass-word@127.0.0.1:{closed_port()}/nothing", upgrade=False, **config
    )


# Alive, ready


def test_a_process_is_alive_without_asking_the_database(any_shop: Shop) -> None:
    with statements(any_shop) as sent:
        answer = get(any_shop, "health/live")
    assert (answer.status_code, answer.json, sent) == (200, {"status": "ok"}, [])
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_shop_with_its_tables_is_ready(any_shop: Shop) -> None:
    answer = get(any_shop, "health/ready")
    assert (answer.status_code, answer.json) == (200, {"status": "ready"})


def test_before_the_tables_are_there_it_is_not_ready(
    make_shop: ShopFactory, database_uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    shop = make_shop(database_uri, upgrade=False)

    answer = get(shop, "health/ready")

    assert (answer.status_code, answer.json) == (503, {"status": "unavailable"})
    assert "not ready: Encore's tables cannot be reached" in caplog.text


def test_tables_of_an_earlier_release_are_not_ready_and_those_of_a_later_one_are(
    any_shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    def ready_at(revision: str) -> int:
        with any_shop.rt.db.write() as connection:
            connection.execute(sa.text(f"UPDATE encore_alembic_version SET version_num = '{revision}'"))
        return int(get(any_shop, "health/ready").status_code)

    assert migrations.outdated() == {f"{number:04}" for number in range(1, int(migrations.head() or ""))}
    assert ready_at("0001") == 503
    assert "flask encore db upgrade" in caplog.text
    assert ready_at("9999") == 200
    assert ready_at(migrations.head() or "") == 200


def test_an_empty_table_of_revisions_is_not_ready(any_shop: Shop) -> None:
    with any_shop.rt.db.write() as connection:
        connection.execute(sa.text("DELETE FROM encore_alembic_version"))
    assert get(any_shop, "health/ready").status_code == 503


def test_while_the_database_is_gone_it_is_alive_and_not_ready_and_tells_nothing_more(make_shop: ShopFactory) -> None:
    shop = gone(make_shop)

    answer = get(shop, "health/ready")

    assert get(shop, "health/live").status_code == 200
    assert (answer.status_code, answer.json) == (503, {"status": "unavailable"})


def test_a_database_that_hangs_is_left_after_the_budget(
    make_shop: ShopFactory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shop = make_shop(ENCORE_DECISION_BUDGET_MS=10)
    hangs, allowed, run = threading.Event(), list[float](), Lanes.run

    def noting(lanes: Lanes, work: Any, *, seconds: float) -> Any:
        allowed.append(seconds)
        return run(lanes, work, seconds=seconds)

    monkeypatch.setattr(Lanes, "run", noting)
    monkeypatch.setattr("flask_encore.services.health.vitals.revision", lambda _connection: hangs.wait(60))
    try:
        statuses = [get(shop, "health/ready").status_code for _ in range(6)]
    finally:
        hangs.set()
    # Two more than there are lanes: who finds none free is answered in time, too.
    assert (statuses, allowed) == ([503] * 6, [0.01] * 6)
    assert "(OverBudget)" in caplog.text


@on_postgresql
def test_a_locked_table_on_postgresql_does_not_hold_the_answer_up(make_shop: ShopFactory, database_uri: str) -> None:
    shop = make_shop(database_uri, ENCORE_DECISION_BUDGET_MS=100)
    other = sa.create_engine(database_uri)

    with other.begin() as connection:
        connection.execute(sa.text("LOCK TABLE encore_alembic_version IN ACCESS EXCLUSIVE MODE"))
        assert get(shop, "health/ready").status_code == 503
    other.dispose()


# The numbers


def test_the_metrics_tell_what_there_is(any_shop: Shop) -> None:
    shop = any_shop
    shop.pay("yes")
    shop.accept(shop.token("yes"))
    shop.pay("no", card=DECLINES_NEXT)
    shop.accept(shop.token("no"))
    shop.sweep()
    shop.clock.advance(seconds=90)

    told = numbers(shop)

    events = {series: value for series, value in told.items() if series.startswith("encore_events_total")}
    assert [value for series, value in events.items() if 'event="decision_offered"' in series] == ["2"]
    assert told["encore_database_up"] == "1"
    charges = {series: value for series, value in told.items() if series.startswith("encore_charges{")}
    assert len(charges) == 12
    assert {series for series, value in charges.items() if value == "1"} == {
        'encore_charges{status="succeeded"}',
        'encore_charges{status="failed"}',
    }
    assert {series for series, value in charges.items() if value != "0"} == {
        'encore_charges{status="succeeded"}',
        'encore_charges{status="failed"}',
    }
    assert told["encore_charges_quarantined"] == told["encore_holds_stuck"] == "0"
    assert (told["encore_outbox_messages"], told["encore_outbox_oldest_seconds"]) == ("0", "0.0")
    assert told["encore_sweeper_lag_seconds"] == "90.0"
    assert told["encore_recent_decision_seconds_count"] == "2"
    assert "encore_model_age_seconds" not in told


def test_the_numbers_are_five_statements_and_four_while_the_alarms_are_fresh(any_shop: Shop) -> None:
    any_shop.pay()
    any_shop.accept(any_shop.token())
    costs = []
    for _ in range(3):
        with statements(any_shop) as sent:
            numbers(any_shop)
        costs.append(len(sent))
        any_shop.clock.advance(minutes=3)
    assert costs == [5, 4, 5]


def test_a_refund_that_failed_and_an_outcome_nobody_knows_are_counted(any_shop: Shop) -> None:
    shop = any_shop
    for order_ref in ("1042", "1043"):
        shop.pay(order_ref)
        shop.accept(shop.token(order_ref))
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_charges SET status = 'unknown' WHERE order_ref = '1043'"))
        connection.execute(
            sa.text(
                "INSERT INTO encore_refunds (charge_id, seq, amount_minor, currency, cause, actor, status, "
                "requested_at) SELECT id, 1, 100, 'gbp', 'merchant', 'anna', 'failed', 0 FROM encore_charges"
            )
        )
    shop.clock.advance(minutes=20)

    told = numbers(shop)

    assert told["encore_refunds_failed"] == "1"
    assert told["encore_charge_unknown_oldest_seconds"] == "1200.0"


def test_deliveries_are_counted_by_endpoint_and_how_they_stand(any_shop: Shop) -> None:
    shop = any_shop
    with receiver() as endpoint:
        endpoint.answer = lambda _request: (410, {}, b"")
        add(shop, endpoint.url)
        shop.pay()
        shop.accept(shop.token())
        shop.sweep()

    told = numbers(shop)

    assert {series: value for series, value in told.items() if "deliveries" in series} == {
        'encore_webhook_deliveries{webhook="1",status="waiting"}': "0",
        'encore_webhook_deliveries{webhook="1",status="delivered"}': "0",
        'encore_webhook_deliveries{webhook="1",status="failed"}': "1",
    }


def test_a_hold_that_is_over_and_was_not_released_is_stuck(any_shop: Shop) -> None:
    shop = any_shop
    for order_ref in ("stuck", "quarantined"):
        shop.pay(order_ref)
        shop.accept(shop.token(order_ref))
    with shop.rt.db.write() as connection:
        connection.execute(
            sa.text("UPDATE encore_charges SET quarantine_reason = 'amount_mismatch' WHERE order_ref = 'quarantined'")
        )
    shop.clock.advance(minutes=35)
    assert numbers(shop)["encore_holds_stuck"] == "0"

    shop.clock.advance(seconds=1)

    told = numbers(shop)
    assert (told["encore_holds_stuck"], told["encore_charges_quarantined"]) == ("1", "1")
    shop.sweep()
    assert numbers(shop)["encore_holds_stuck"] == "0"


def test_a_message_nobody_takes_is_counted_and_grows_old(any_shop: Shop) -> None:
    shop = any_shop

    @shop.encore.on("charge_succeeded")
    def broken(_event: Any) -> None:
        raise RuntimeError("secret of the warehouse")

    shop.pay()
    shop.accept(shop.token())
    shop.clock.advance(minutes=10)
    shop.sweep()

    answer = get(shop, "metrics").text
    assert "\nencore_outbox_messages 1\n" in answer
    assert "\nencore_outbox_failing 1\n" in answer
    assert "\nencore_outbox_oldest_seconds 600.0\n" in answer
    assert "secret" not in answer
    assert "1042" not in answer


def test_the_latency_is_of_the_newest_decisions_alone(any_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = any_shop
    monkeypatch.setattr(health, "NEWEST_DECISIONS", 3)
    for number, latency in enumerate((999_999, 1_000, 1_001, 2_000_000)):
        shop.pay(f"o{number}")
        shop.page(f"o{number}")
        with shop.rt.db.write() as connection:
            connection.execute(
                sa.text(f"UPDATE encore_decisions SET latency_us = {latency} WHERE order_ref = 'o{number}'")
            )
        shop.clock.advance(seconds=1)

    told = numbers(shop)

    buckets = [
        (series.partition('le="')[2].rstrip('"}'), value)
        for series, value in told.items()
        if "_seconds_bucket" in series
    ]
    assert buckets == [
        ("0.001", "1"),
        ("0.0025", "2"),
        ("0.005", "2"),
        ("0.01", "2"),
        ("0.025", "2"),
        ("0.05", "2"),
        ("0.1", "2"),
        ("0.3", "2"),
        ("1", "2"),
        ("+Inf", "3"),
    ]
    assert told["encore_recent_decision_seconds_sum"] == "2.002001"


def test_another_accounts_rows_are_not_told(shop: Shop) -> None:
    shop.pay()
    shop.accept(shop.token())
    with shop.rt.db.write() as connection:
        for table in ("decisions", "charges", "outbox"):
            connection.execute(sa.text(f"UPDATE encore_{table} SET account = 'acct_other'"))

    told = numbers(shop)

    assert {value for series, value in told.items() if series.startswith("encore_charges{")} == {"0"}
    assert (told["encore_outbox_messages"], told["encore_recent_decision_seconds_count"]) == ("0", "0")


def test_the_models_age_is_told(make_shop: ShopFactory) -> None:
    class Trained:
        version = "7"
        problem = ""
        trained_at: Any = None

        def rank(self, basket: Any, *, k: int, exclude: Any = (), history: Any = ()) -> list[Any]:
            return []

    ranker = Trained()
    shop = make_shop(ranker=ranker)
    ranker.trained_at = shop.clock() - timedelta(hours=1)

    assert numbers(shop)["encore_model_age_seconds"] == "3600.0"


def test_while_the_database_is_gone_the_metrics_say_so_and_tell_what_the_process_knows(make_shop: ShopFactory) -> None:
    shop = gone(make_shop)
    shop.rt.counts.add("webhook_refused")

    told = numbers(shop)

    assert told.pop("encore_database_up") == "0"
    [(series, value)] = told.items()
    assert (series.startswith('encore_events_total{event="webhook_refused",process="'), value) == (True, "1")


def test_an_empty_shop_has_metrics_too(any_shop: Shop) -> None:
    told = numbers(any_shop)
    assert told["encore_recent_decision_seconds_sum"] == "0.0"
    assert "encore_sweeper_lag_seconds" not in told


# Who may see them


@contextmanager
def guarded(shop: Shop, guard: Any) -> Iterator[None]:
    """The shop with another admin_guard."""
    before = state(shop.app)
    shop.app.extensions["flask-encore"] = type(before)(
        runtime=before.runtime,
        tokens=before.tokens,
        admin_guard=guard,
        worker=before.worker,
        catalogues=before.catalogues,
    )
    yield
    shop.app.extensions["flask-encore"] = before


def test_the_token_lets_in_and_another_one_does_not(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_METRICS_TOKEN=TOKEN)
    with guarded(shop, lambda: None), statements(shop) as sent:
        refused = [
            get(shop, "metrics", Authorization=given)
            for given in (f"Bearer {TOKEN}x", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, "Bearer \u00e9")
        ]
        refused.append(get(shop, "metrics"))
        assert sent == []
        let_in = get(shop, "metrics", Authorization=f"bearer {TOKEN}")
    assert [answer.status_code for answer in refused] == [401] * 7
    assert {answer.headers["WWW-Authenticate"] for answer in refused} == {'Bearer realm="encore metrics"'}
    assert not any("encore_" in answer.text for answer in refused)
    assert let_in.status_code == 200


def test_a_wrong_token_is_refused_even_to_who_is_signed_in(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_METRICS_TOKEN=TOKEN)
    assert get(shop, "metrics", Authorization="Bearer wrong").status_code == 401
    assert get(shop, "metrics").status_code == 200


def test_without_a_token_the_guard_alone_decides(shop: Shop) -> None:
    with guarded(shop, lambda: None):
        refused = get(shop, "metrics", Authorization="Bearer ")
    with guarded(shop, lambda: Response("sign in", 302, {"Location": "/login"})):
        sent = get(shop, "metrics")
    with guarded(shop, None):
        closed = get(shop, "metrics")
    assert (refused.status_code, sent.status_code, closed.status_code) == (403, 302, 403)
    assert "ENCORE_METRICS_TOKEN" in closed.text


def test_the_token_is_compared_in_constant_time(make_shop: ShopFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = make_shop(ENCORE_METRICS_TOKEN=TOKEN)
    compared: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr("flask_encore.web.health.compare_digest", lambda a, b: compared.append((a, b)) or False)

    assert get(shop, "metrics", Authorization=f"Bearer {TOKEN}").status_code == 401
    assert compared == [(TOKEN.encode(), TOKEN.encode())]


def test_the_token_is_in_no_repr(make_shop: ShopFactory) -> None:
    assert TOKEN not in repr(make_shop(ENCORE_METRICS_TOKEN=TOKEN).rt.settings)


def test_nothing_of_the_database_is_in_an_answer(make_shop: ShopFactory, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="flask_encore")
    shop = gone(make_shop)
    told = get(shop, "health/ready").text + get(shop, "metrics").text + caplog.text
    assert "pass-word" not in told


def test_a_deleted_sqlite_file_is_not_ready(make_shop: ShopFactory, tmp_path: Path) -> None:
    shop = make_shop(f"sqlite:///{tmp_path / 'gone.sqlite3'}")
    shop.rt.db.dispose()
    for file in tmp_path.glob("gone.sqlite3*"):
        file.unlink()
    assert get(shop, "health/ready").status_code == 503
