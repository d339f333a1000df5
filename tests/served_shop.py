"""The demo shop served on 127.0.0.1 beside its simulated Stripe, as its command does: a host for real clients."""

from __future__ import annotations

import fcntl
import logging
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from acceptance.journey import ShopAt
from demo_host import silent, stocked_instance
from werkzeug.serving import WSGIRequestHandler, make_server
from whole_answers import whole

from flask_encore.demo import till
from flask_encore.demo.app import create_app
from flask_encore.demo.checkout import StripeAccess
from flask_encore.demo.shop import KEY, Shop
from flask_encore.demo.stock import ensure_stocked
from flask_encore.services.runtime import utc_now
from flask_encore.testing import StripeSimulator

WEBHOOK_SECRET = "whsec_served_shop"

#: Deciding may take this long here, ms: a test machine with better things to do is slow, not broken.
DECISION_BUDGET_MS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A shop that is open: what its visitors know, and the Stripe behind it."""

    at: ShopAt
    stripe: StripeSimulator


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: Any) -> None:
        """A test's output is for what failed."""


@contextmanager
def served(instance: Path, **config: Any) -> Iterator[Served]:
    """The shop of *instance*, open as long as the block runs; stocked with the generated shop if it is empty."""
    with StripeSimulator() as stripe:
        access = StripeAccess(
            secret_key=stripe.secret_key,
            publishable_key=stripe.publishable_key,
            api_base=stripe.url,
            js_url=stripe.stripe_js_url,
            webhook_secrets=(WEBHOOK_SECRET,),
        )
        app = create_app(
            instance=instance, stripe=access, config={"ENCORE_DECISION_BUDGET_MS": DECISION_BUDGET_MS} | config
        )
        shop: Shop = app.extensions[KEY]
        with app.app_context():
            ensure_stocked(shop, data=None, now=utc_now(), tell=logging.getLogger(__name__).info, bar=silent)
            link = till.link("merchant", "merchant")
        server = make_server("127.0.0.1", 0, whole(app), threaded=True, request_handler=_Quiet)
        url = f"http://127.0.0.1:{server.server_port}"
        stripe.add_webhook(f"{url}/encore/stripe/webhook", WEBHOOK_SECRET)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield Served(at=ShopAt(url=url, stripe_url=stripe.url, merchant_link=f"/merchant/{link}"), stripe=stripe)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            with app.app_context():
                shop.encore.close()


def generated_instance(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A copy of the generated shop's instance, stocked and trained once for all of pytest-xdist's processes."""
    root = tmp_path_factory.getbasetemp()
    shared = root if worker_id == "master" else root.parent
    with (shared / "stocked.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "stocked").exists():
            stocked_instance(shared / "being-stocked").rename(shared / "stocked")
    return shutil.copytree(shared / "stocked", tmp_path_factory.mktemp("shop") / "instance")
