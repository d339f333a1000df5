"""The worker inside the web process: when it starts, what it survives, and what a fork does to it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Shop, ShopFactory
from flask import current_app
from hosts import together

from flask_encore.services.working import Worker

#: Longer than any round takes; reached only when the test fails.
PATIENCE = 20.0


@pytest.fixture
def serving(make_shop: ShopFactory, database_uri: str) -> Iterator[Shop]:
    """A shop as it is served: not under test, so with a worker of its own."""
    shop = make_shop(database_uri, TESTING=False)
    yield shop
    worker_of(shop).stop()


def worker_of(shop: Shop) -> Worker:
    """The shop's worker."""
    worker = shop.app.extensions["flask-encore"].worker
    assert isinstance(worker, Worker)
    return worker


def thread_of(shop: Shop) -> threading.Thread | None:
    """The worker's thread; ``None`` while there is none."""
    return worker_of(shop)._thread


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], None]], None]:
    """Replaces the worker's round by a function of the round's number."""

    def replace(run: Callable[[int], None]) -> None:
        done: list[int] = []

        def work_once(_rt: object) -> None:
            done.append(len(done) + 1)
            run(done[-1])

        monkeypatch.setattr("flask_encore.extension.work_once", work_once)

    return replace


def test_it_starts_with_the_first_request_and_not_with_the_app(serving: Shop) -> None:
    assert thread_of(serving) is None

    serving.page("nobody's")

    thread = thread_of(serving)
    assert thread is not None and thread.is_alive() and thread.daemon


def test_eight_first_requests_start_one_thread(serving: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    start = threading.Thread.start

    def counting(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", counting)
    together(8, lambda _: serving.page("nobody's"))

    assert started.count("encore-worker") == 1


def test_what_a_click_leaves_to_do_is_done_without_anybody_calling(serving: Shop) -> None:
    told = threading.Event()
    heard: list[Any] = []

    @serving.encore.on("charge_succeeded")
    def add_line(event: Any) -> None:
        heard.append((event.order_ref, current_app.name, threading.current_thread().name))
        told.set()

    serving.pay()
    assert serving.accept(serving.token()) == "charged"

    assert told.wait(PATIENCE)
    assert heard == [("1042", "host", "encore-worker")]


def test_work_an_earlier_process_left_is_done_with_the_first_request(make_shop: ShopFactory, database_uri: str) -> None:
    earlier = make_shop(database_uri)
    earlier.pay()
    earlier.accept(earlier.token())
    assert earlier.delivered == []

    later = make_shop(database_uri, TESTING=False, upgrade=False)
    told = threading.Event()
    later.encore.on("charge_succeeded")(lambda event: told.set())
    later.page("nobody's")

    assert told.wait(PATIENCE)
    worker_of(later).stop()


def test_a_round_that_raises_is_logged_and_the_next_one_runs(
    serving: Shop, rounds: Callable[[Callable[[int], None]], None], caplog: pytest.LogCaptureFixture
) -> None:
    ran = {1: threading.Event(), 2: threading.Event()}

    def run(number: int) -> None:
        ran[min(number, 2)].set()
        if number == 1:
            raise RuntimeError("one bad minute")

    rounds(run)
    serving.page("nobody's")
    assert ran[1].wait(PATIENCE)
    serving.rt.wake()

    assert ran[2].wait(PATIENCE)
    assert "a round of the worker failed" in caplog.text and "one bad minute" in caplog.text


def test_a_call_during_a_round_is_not_lost(serving: Shop, rounds: Callable[[Callable[[int], None]], None]) -> None:
    inside, go_on, again = threading.Event(), threading.Event(), threading.Event()

    def run(number: int) -> None:
        if number == 1:
            inside.set()
            go_on.wait(PATIENCE)
        else:
            again.set()

    rounds(run)
    serving.page("nobody's")
    assert inside.wait(PATIENCE)
    serving.rt.wake()
    go_on.set()

    assert again.wait(PATIENCE)


def test_a_handler_that_raises_does_not_stop_the_other_orders(serving: Shop) -> None:
    told = threading.Event()

    @serving.encore.on("charge_succeeded")
    def add_line(event: Any) -> None:
        if event.order_ref == "1042":
            raise RuntimeError("the host's own bug")
        told.set()

    for order_ref in ("1042", "1043"):
        serving.pay(order_ref)
        assert serving.accept(serving.token(order_ref)) == "charged"

    assert told.wait(PATIENCE)


def test_under_test_it_does_not_start(shop: Shop) -> None:
    shop.pay()
    assert shop.accept(shop.token()) == "charged"

    assert thread_of(shop) is None
    assert shop.delivered == []


def test_an_app_that_is_put_under_test_after_it_was_made_does_not_start_it(serving: Shop) -> None:
    serving.app.testing = True
    serving.pay()
    assert serving.accept(serving.token()) == "charged"

    assert thread_of(serving) is None


def test_a_shop_that_runs_the_worker_elsewhere_has_none_inside(make_shop: ShopFactory) -> None:
    shop = make_shop(TESTING=False, ENCORE_WORKER="external")
    before = set(threading.enumerate())
    shop.pay()
    assert shop.accept(shop.token()) == "charged"

    new = {thread.name for thread in set(threading.enumerate()) - before}
    assert "encore-worker" not in new


def test_a_machine_without_a_thread_to_spare_still_serves_the_page(
    serving: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "encore-worker":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert serving.page("nobody's").status_code == 200
    assert "the worker could not start" in caplog.text

    monkeypatch.undo()
    serving.page("nobody's")
    thread = thread_of(serving)
    assert thread is not None and thread.is_alive()


def test_after_stop_it_stays_stopped(serving: Shop) -> None:
    serving.page("nobody's")
    thread = thread_of(serving)
    worker_of(serving).stop()
    serving.rt.wake()
    serving.page("nobody's")

    assert thread is not None and not thread.is_alive()
    assert thread_of(serving) is thread


# A server that loads the app first and forks then, as gunicorn --preload does


FORKING = """
    import json, os, sys, threading
    from flask import Flask
    from flask_encore import Encore, Money, Product
    from flask_encore import extension

    ran = threading.Event()
    real = extension.work_once
    def work_once(rt):
        real(rt)
        ran.set()
    extension.work_once = work_once

    app = Flask("host", instance_path=sys.argv[2])
    app.config |= {"SECRET_KEY": "tests-only-secret-of-32-characters", "ENCORE_DATABASE_URI": sys.argv[1]}
    encore = Encore(app)
    app.add_url_rule("/", "index", lambda: "<main></main>")

    def backends():
        with app.app_context(), encore.runtime.db.read() as connection:
            if connection.dialect.name == "sqlite":
                return id(connection.connection.driver_connection)
            return connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()

    def serve():
        assert app.test_client().get("/").status_code == 200
        worked = ran.wait(20)
        names = [thread.name for thread in threading.enumerate()]
        return {"worked": worked, "workers": names.count("encore-worker"), "backend": backends()}

    with app.app_context():
        encore.upgrade()
        encore.catalog.upsert([Product(sku="mug", title="Mug", price=Money(100, "gbp"))])
    parent = serve()
    held = app.extensions["flask-encore"].worker
    held._starting.acquire()  # somebody was just starting it
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        ran.clear()
        os.write(writer, json.dumps(serve()).encode())
        os._exit(0)
    held._starting.release()
    _, status = os.waitpid(child, 0)
    told = json.loads(os.read(reader, 65536))
    print(json.dumps({"status": status, "parent": parent, "child": told, "again": backends()}))
"""


def test_a_forked_process_has_its_own_worker_and_its_own_connections(database_uri: str, tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FORKING), database_uri, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    answer = json.loads(told.stdout)

    assert answer["status"] == 0
    assert (answer["parent"]["worked"], answer["parent"]["workers"]) == (True, 1)
    assert (answer["child"]["worked"], answer["child"]["workers"]) == (True, 1)
    # The child talks on a connection of its own, and left the parent's as it was.
    if database_uri.startswith("postgresql"):
        assert answer["child"]["backend"] != answer["parent"]["backend"]
        assert answer["again"] == answer["parent"]["backend"]


def test_closing_ends_the_worker_and_the_connections(serving: Shop) -> None:
    serving.app.test_client().get("/thanks/1042")
    thread = thread_of(serving)
    assert thread is not None and thread.is_alive()

    with serving.app.app_context():
        serving.encore.close()

    assert not thread.is_alive()
    assert serving.rt.db.engine.pool.checkedin() == 0  # type: ignore[attr-defined]
