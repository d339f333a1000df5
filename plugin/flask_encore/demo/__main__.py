"""``python -m flask_encore.demo``: open the demo shop on this computer."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click
from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from flask_encore.demo import catalogue, past, till
from flask_encore.demo.app import HOLDOUT_PERCENT, create_app
from flask_encore.demo.books import Books
from flask_encore.demo.checkout import CheckoutUnavailable, StripeAccess
from flask_encore.demo.shop import Shop, shop
from flask_encore.demo.stock import ensure_stocked
from flask_encore.domain.errors import EncoreError
from flask_encore.domain.money import Money
from flask_encore.services.runtime import utc_now
from flask_encore.testing import StripeSimulator

HOST = "127.0.0.1"

#: How many ports are tried when the wanted one is taken.
PORTS_TRIED = 20

#: Products of the ready-made order: matcha asks for its whisk.
SAMPLE = ("Ceremonial Matcha, 30 g", "Lemon Thins")

#: What a shop leaves in its instance folder, and ``--reset`` takes away.
SHOP_FILE, SIMULATOR_FILE = "shop.sqlite3", "stripe-simulator.json"
LEFT_BEHIND = (SHOP_FILE, "encore.sqlite3", "session-key", SIMULATOR_FILE, "encore-models", "lock")

#: Steps of a progress bar; finer than any terminal.
STEPS = 1_000

WEBHOOK_SECRET = "whsec_demo_shop_on_this_computer_only"

#: Noted while the past is lived through.
BEGUN = "begun"

#: Stocking asks Stripe for nothing.
NO_STRIPE = StripeAccess(
    secret_key="sk_test_not_asked", publishable_key="pk_test_not_asked", api_base="http://127.0.0.1:9"
)


class Closed(Exception):
    """The shop cannot open; the message says why and what to do."""


def main(arguments: list[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Open the shop, serve until Ctrl-C, answer the exit status."""
    options = _parser().parse_args(arguments)
    try:
        with ExitStack() as stack:
            return _serve(options, environ, stack)
    except (Closed, EncoreError, CheckoutUnavailable) as error:
        click.echo(f"The shop cannot open: {error}", err=True)
        return 2
    except KeyboardInterrupt:
        click.echo("\nThe shop is closed.")
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flask_encore.demo",
        description="Open the demo shop on this computer. No Stripe account and no network are needed.",
        epilog="With STRIPE_SECRET_KEY=sk_test_… and STRIPE_PUBLISHABLE_KEY=pk_test_… it uses Stripe's test mode.",
    )
    parser.add_argument("--data", type=Path, metavar="FILE", help="order history to stock from (.csv, .csv.gz)")
    parser.add_argument("--port", type=int, default=5000, help="port on 127.0.0.1; the next free one if taken (5000)")
    parser.add_argument("--instance", type=Path, metavar="DIR", help="where the shop keeps its files (instance/demo-…)")
    parser.add_argument("--reset", action="store_true", help="forget everything and stock anew")
    parser.add_argument("--no-past", action="store_true", help=f"open without {past.DAYS} days of simulated shoppers")
    return parser


def _serve(options: argparse.Namespace, environ: Mapping[str, str], stack: ExitStack) -> int:
    data: Path | None = options.data
    if data is not None and not data.is_file():
        raise Closed(f"there is no file {data}.")
    access = stripe_access(environ)
    instance = options.instance or Path("instance") / _name(data, simulated=access is None)
    instance.mkdir(parents=True, exist_ok=True)
    stack.enter_context(_alone(instance))
    if options.reset:
        reset(instance)
    zone = local_zone(environ)
    # What a past is paid with is the simulated Stripe, and its shoppers buy what the generated shop sells.
    _prepare(instance, zone=zone, data=data, with_past=access is None and data is None and not options.no_past)
    simulator = None
    if access is None:
        simulator = stack.enter_context(StripeSimulator(state_file=instance / SIMULATOR_FILE))
        access = StripeAccess(
            secret_key=simulator.secret_key,
            publishable_key=simulator.publishable_key,
            api_base=simulator.url,
            js_url=simulator.stripe_js_url,
            webhook_secrets=(WEBHOOK_SECRET,),
        )
    # A running app notices a new model within a second; one opened after the training has it at once.
    app = create_app(instance=instance, stripe=access, config=_config(zone))
    server = _bind(app, options.port)
    stack.callback(server.server_close)
    if simulator is not None:
        simulator.add_webhook(f"http://{HOST}:{server.port}/encore/stripe/webhook", WEBHOOK_SECRET)
    # Served before the ready-made order is paid, so that its webhook finds somebody at home.
    thread = threading.Thread(target=server.serve_forever, name="shop", daemon=True)
    thread.start()
    stack.callback(server.shutdown)
    with app.app_context():
        for line in _signboard(shop(), f"http://{HOST}:{server.port}", wanted=options.port, port=server.port):
            click.echo(line)
    thread.join()
    return 0


def _prepare(instance: Path, *, zone: str, data: Path | None, with_past: bool) -> None:
    """Put goods on the shelves, train a model, and let shoppers come for some weeks before the shop opens."""
    if _past_broke_off(instance):
        click.echo("  The simulated past broke off; the shop is stocked anew.")
        reset(instance)
    # An empty shop has no model yet; that is no news to whoever is about to train one.
    ranking = logging.getLogger("flask_encore.ranking")
    ranking.setLevel(logging.ERROR)
    app = create_app(instance=instance, stripe=NO_STRIPE, config=_config(zone))
    ranking.setLevel(logging.NOTSET)
    now = utc_now()
    with app.app_context():
        stocked = ensure_stocked(shop(), data=data, now=now, tell=lambda line: click.echo(f"  {line}"), bar=_bar)
        shop().encore.close()
    if not stocked.fresh or not with_past:
        return
    books = Books(instance / SHOP_FILE)
    books.note("past", BEGUN)
    with _bar(f"Living through {past.DAYS} days of shoppers") as progress:
        truth = past.live_through(
            instance,
            now=now,
            config=_config(zone),
            state_file=instance / SIMULATOR_FILE,
            webhook_secret=WEBHOOK_SECRET,
            progress=progress,
        )
    books.note("past", f"{Money(round(truth.uplift), catalogue.CURRENCY)} on each of {truth.orders:,} orders")


def _past_broke_off(instance: Path) -> bool:
    """Whether an earlier start ended in the middle of it; half a past is none, and cannot be gone on with."""
    return (instance / SHOP_FILE).exists() and Books(instance / SHOP_FILE).meta("past") == BEGUN


def _config(zone: str) -> dict[str, Any]:
    return {"ENCORE_TIME_ZONE": zone}


def stripe_access(environ: Mapping[str, str]) -> StripeAccess | None:
    """Stripe's test mode when a key is set, ``None`` for the simulator.

    Raises:
        Closed: For a live key, or when one of the two keys is missing or no test key.
    """
    secret, publishable = environ.get("STRIPE_SECRET_KEY", ""), environ.get("STRIPE_PUBLISHABLE_KEY", "")
    if not secret:
        return None
    if "_live_" in secret or "_live_" in publishable:
        raise Closed("STRIPE_SECRET_KEY is a live key, and the demo never touches real money; use a sk_test_ key.")
    if not re.match(r"(sk|rk)_test_\w", secret):
        raise Closed("STRIPE_SECRET_KEY is no test key; it has to start with sk_test_.")
    if not publishable.startswith("pk_test_"):
        raise Closed("STRIPE_PUBLISHABLE_KEY is missing; set it to the pk_test_ key of the same account.")
    secrets = tuple(part for part in environ.get("STRIPE_WEBHOOK_SECRET", "").split(",") if part)
    return StripeAccess(secret_key=secret, publishable_key=publishable, webhook_secrets=secrets)


def local_zone(environ: Mapping[str, str], localtime: Path = Path("/etc/localtime")) -> str:
    """This computer's IANA time zone; UTC when it does not tell."""
    told = environ.get("TZ", "").lstrip(":")
    if not re.fullmatch(r"[A-Za-z]+/[A-Za-z_/+-]+", told):
        _, _, told = str(localtime.resolve()).partition("/zoneinfo/")
    return told or "UTC"


def reset(instance: Path) -> None:
    """Take away what a shop left in *instance*, and nothing else."""
    for path in instance.iterdir():
        if path.name == "lock":
            continue
        if path.name.removesuffix("-wal").removesuffix("-shm") in LEFT_BEHIND:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _name(data: Path | None, *, simulated: bool) -> str:
    """A folder per source and kind of Stripe, so that none of them meets another's orders."""
    source = "generated" if data is None else re.sub(r"[^a-z0-9]+", "-", data.name.split(".")[0].lower()).strip("-")
    return f"demo-{source or 'data'}{'' if simulated else '-stripe'}"


@contextmanager
def _alone(instance: Path) -> Iterator[None]:
    """Hold the instance, so that two shops cannot write the same books."""
    try:
        import fcntl
    except ImportError:  # no such thing on Windows; two shops there are the owner's own risk
        yield
        return
    with (instance / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Closed(f"it is open already, from {instance}; close that one, or name another --instance.") from error
        yield


class _Quiet(WSGIRequestHandler):
    """Logs errors only; a console full of pictures hides the lines that matter."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def _bind(app: Flask, wanted: int) -> BaseWSGIServer:
    for port in range(wanted, wanted + PORTS_TRIED):
        try:
            return make_server(HOST, port, app, threaded=True, request_handler=_Quiet)
        except (OSError, SystemExit) as error:  # werkzeug exits where others raise
            if isinstance(error, OSError) and error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
    raise Closed(f"ports {wanted} to {wanted + PORTS_TRIED - 1} are all taken; name another --port.")


def _signboard(here: Shop, url: str, *, wanted: int, port: int) -> Iterator[str]:
    order_ref = till.make_sample(_sample_skus(here), now=utc_now())
    yield ""
    yield "  " + click.style("Pottle & Quill is open.", bold=True)
    yield ""
    yield _line("Shop", f"{url}/")
    yield _line("Thank-you", f"{url}/sample/{till.link('sample', order_ref)}")
    yield _line("Dashboard", f"{url}/merchant/{till.link('merchant', 'merchant')}", "works once, for 15 minutes")
    yield _line("Test card", "4242 4242 4242 4242", "any future date, any three digits; more on the basket page")
    if here.access.simulated:
        yield _line("Stripe", f"simulated on {here.access.api_base}", "no account, no network, no money")
    else:
        yield _line(
            "Stripe",
            "test mode",
            "stripe listen --forward-to " + url.removeprefix("http://") + "/encore/stripe/webhook",
        )
    yield _line("Holdout", f"{HOLDOUT_PERCENT} %", "of simulated shoppers; whoever buys here by hand sees the offer")
    if lived := here.books.meta("past"):
        yield _line("Past", f"{past.DAYS} simulated days; their offers added {lived}")
    if port != wanted:
        yield _line("Port", str(port), f"{wanted} was taken")
    yield ""
    yield "  Ctrl-C closes the shop."


def _line(name: str, value: str, remark: str = "") -> str:
    return f"  {name:<11}{value}" + (f"  ({remark})" if remark else "")


def _sample_skus(here: Shop) -> list[str]:
    of_title = {item.product.title: item.product.sku for item in catalogue.products()}
    ours = here.books.products_of([of_title[title] for title in SAMPLE])
    in_stock = [item.product.sku for item in ours if item.product.stock]
    return in_stock or [item.product.sku for item in here.books.favourites(limit=2)]


@contextmanager
def _bar(label: str) -> Iterator[Callable[[float], None]]:
    with click.progressbar(length=STEPS, label=f"  {label}", width=28) as bar:
        done = 0

        def progress(share: float) -> None:
            nonlocal done
            reached = min(STEPS, int(share * STEPS))
            bar.update(max(0, reached - done))
            done = max(done, reached)

        yield progress
        progress(1.0)


def _interrupt(_number: int, _frame: FrameType | None) -> Any:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main())
