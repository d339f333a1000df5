"""`StripeSimulator`: a Stripe on 127.0.0.1 that the real SDK talks to."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from flask_encore.testing.stripe_simulator import charges, checkout, customers, intents, refunds, shapes
from flask_encore.testing.stripe_simulator.api import Api, RecordedRequest
from flask_encore.testing.stripe_simulator.errors import Json
from flask_encore.testing.stripe_simulator.faults import Faults, matches
from flask_encore.testing.stripe_simulator.idempotency import IdempotencyStore
from flask_encore.testing.stripe_simulator.ledger import API_VERSION, Ledger
from flask_encore.testing.stripe_simulator.server import Server
from flask_encore.testing.stripe_simulator.state import StateFile, around
from flask_encore.testing.stripe_simulator.webhooks import WebhookEndpoint, Webhooks
from flask_encore.testing.stripe_simulator.world import World

#: How often the accepting thread looks whether it should end, in seconds.
_POLL = 0.02


class StripeSimulator:
    """A stateful Stripe for tests and demos.

    ```python
    with StripeSimulator() as sim:
        client = stripe.StripeClient("sk_test_simulator", base_addresses={"api": sim.url})
    ```

    Amounts are integers in the currency's minor unit. Everything answered is a copy. All methods
    may be called from any thread, before `start` too.

    Args:
        clock: answers the time as unix seconds; the machine's clock when None.
        secret_key: the one key the API accepts.
        publishable_key: the one key Stripe.js may use.
        account: id of the simulated account.
        state_file: JSON file to begin from when it exists, and to keep in step with every write.
        settlement: currency and exchange rate in which charges of other currencies arrive on the account, such as
            ``("eur", 1.15)``; Stripe's fee is in it too. None: each charge arrives in its own.
        check_shapes: refuse parameters Stripe does not know; None means when pydantic is there.

    Raises:
        ValueError: `state_file` exists and is something else.
        RuntimeError: `check_shapes` is True and pydantic or ``stripe.params`` is missing.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] | None = None,
        secret_key: str = "sk_test_simulator",
        publishable_key: str = "pk_test_simulator",
        account: str = "acct_simulator",
        state_file: Path | None = None,
        settlement: tuple[str, float] | None = None,
        check_shapes: bool | None = None,
    ) -> None:
        now = time.time if clock is None else clock
        ledger = Ledger(clock=now, account=account, settlement=settlement)
        self.webhooks = Webhooks(clock=now, find_event=self._event)
        self.faults = Faults()
        self._world = World(
            ledger=ledger,
            webhooks=self.webhooks,
            faults=self.faults,
            idempotency=IdempotencyStore(),
            secret_key=secret_key,
            publishable_key=publishable_key,
        )
        ledger.on_event = self.webhooks.enqueue
        if state_file is not None:
            state = StateFile(state_file, ledger=ledger, idempotency=self._world.idempotency)
            state.load()
            self._world.save = state.save
        checker = None if check_shapes is False else shapes.load()
        if check_shapes and checker is None:
            raise RuntimeError("checking shapes needs pydantic and an SDK with stripe.params (13 or newer)")
        self._api = Api(self._world, checker=checker)
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    def start(self, port: int = 0) -> Self:
        """Serve on 127.0.0.1 in the background; port 0 picks a free one.

        Raises:
            RuntimeError: it runs already.
            OSError: the port is taken.
        """
        if self._server is not None:
            raise RuntimeError("the simulator runs already")
        self._world.stopping.clear()
        self._server = Server(port, world=self._world, api=self._api)
        self._world.ledger.origin = self.url
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL,), name="stripe-simulator", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close every connection and wait for the threads. The state stays; stopping twice is harmless."""
        if self._server is None or self._thread is None:
            return
        self._world.stopping.set()
        self.faults.release()
        self._server.close()
        self._thread.join()
        self.webhooks.stop()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        return self if self._server is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where the API is, for ``base_addresses={"api": sim.url}``.

        Raises:
            RuntimeError: it does not run.
        """
        if self._server is None:
            raise RuntimeError("start the simulator first")
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def stripe_js_url(self) -> str:
        """Where the Stripe.js stand-in is."""
        return f"{self.url}/stripe.js"

    @property
    def secret_key(self) -> str:
        """The key the server side uses."""
        return self._world.secret_key

    @property
    def publishable_key(self) -> str:
        """The key the browser side uses."""
        return self._world.publishable_key

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every API call so far, in order of arrival."""
        return self._api.recorded

    def calls(self, path: str, *, method: str = "POST") -> list[RecordedRequest]:
        """The calls to a path; ``*`` stands for one segment, ``**`` for any."""
        return [each for each in self.requests if each.method == method and matches(path, each.path)]

    def wait_until_idle(self, *, timeout: float = 5.0) -> bool:
        """Block until no call runs, also none whose client gave up; False when `timeout` seconds passed first."""
        return self._api.wait_until_idle(timeout)

    def save_to(self, path: Path, *, intents: Collection[str]) -> None:
        """Write a state file for a later simulator that knows these PaymentIntents and what belongs to them."""
        with self._world.ledger.lock:
            StateFile(path, ledger=around(self._world.ledger, intents), idempotency=IdempotencyStore()).save()

    def forget_requests(self) -> None:
        """Empty the record of calls."""
        self._api.forget()

    @property
    def events(self) -> list[Json]:
        """Every event so far, oldest first."""
        return self._world.ledger.copies("event")

    def intents(self) -> list[Json]:
        """Every PaymentIntent, oldest first."""
        return self._world.ledger.copies("payment_intent")

    def intent(self, intent_id: str) -> Json:
        """One PaymentIntent.

        Raises:
            StripeError: no such intent.
        """
        with self._world.ledger.lock:
            return copy.deepcopy(self._world.ledger.get("payment_intent", intent_id))

    def charges(self) -> list[Json]:
        """Every charge that moved money, refunded later or not, oldest first."""
        return [charge for charge in self._world.ledger.copies("charge") if charge["status"] == "succeeded"]

    def refunds(self) -> list[Json]:
        """Every refund in any state, oldest first."""
        return self._world.ledger.copies("refund")

    def customers(self) -> list[Json]:
        """Every customer, oldest first."""
        return self._world.ledger.copies("customer")

    def payment_methods(self) -> list[Json]:
        """Every payment method, oldest first."""
        return self._world.ledger.copies("payment_method")

    def paid_intent(
        self,
        *,
        amount: int,
        currency: str,
        card: str = "4242424242424242",
        customer: bool = True,
        setup_future_usage: str | None = "off_session",
        payment_method_type: str = "card",
        metadata: dict[str, str] | None = None,
    ) -> Json:
        """A succeeded PaymentIntent as a host's checkout leaves it.

        This first payment always succeeds, whatever the card: with a declining number it is the *next*
        charge on the kept card that the bank refuses. A card is kept when there is a customer, a
        `setup_future_usage`, and a type that can be kept.

        Args:
            card: a test number; only for `payment_method_type` ``card``.
            customer: whether the payment has a Customer.
        """
        ledger = self._world.ledger
        with ledger.lock:
            owner = customers.create(ledger, {})["id"] if customer else None
            if payment_method_type == "card":
                method = customers.from_number(ledger, card)
            else:
                method = customers.create_method(ledger, {"type": payment_method_type})
            wanted: Json = {
                "amount": str(amount),
                "currency": currency,
                "customer": owner,
                "payment_method": method["id"],
                "payment_method_types": [payment_method_type],
                "metadata": metadata,
                "setup_future_usage": setup_future_usage,
            }
            intent = intents.create(ledger, wanted)
            intents.succeed(ledger, intent, method)
            self._world.save()
            return copy.deepcopy(intent)

    def complete_checkout(
        self,
        session_id: str,
        *,
        card: str = "4242424242424242",
        payment_method_type: str = "card",
        email: str = "shopper@example.com",
    ) -> Json:
        """The shopper fills in a Checkout Session's page and pays. Answers the session afterwards.

        Raises:
            StripeError: 402 when the bank declines (the session stays open), 400 when it is not open.
        """

        def run(ledger: Ledger) -> Json:
            number = card if payment_method_type == "card" else None
            method = checkout.method_for(ledger, number=number, kind=payment_method_type)
            return checkout.pay(ledger, session_id, method=method, email=email)

        return self._do(run)

    def authenticate(self, intent_id: str, success: bool = True) -> Json:
        """The shopper passes the bank's check, or fails it. Answers the intent afterwards.

        Raises:
            StripeError: the intent does not wait for an action.
        """

        def run(ledger: Ledger) -> Json:
            intent = intents.authenticate(ledger, intent_id, success=success)
            checkout.notice_payment(ledger, intent)
            return intent

        return self._do(run)

    def finish_processing(self, intent_id: str, success: bool = True) -> Json:
        """The bank of a slow payment method answers. Answers the intent afterwards.

        Raises:
            StripeError: the intent is not processing.
        """
        return self._do(lambda ledger: intents.finish_processing(ledger, intent_id, success=success))

    def dispute(self, intent_id: str) -> Json:
        """The shopper disputes the payment. Answers the dispute.

        Raises:
            StripeError: nothing was charged, or it is disputed already.
        """

        def run(ledger: Ledger) -> Json:
            intent = ledger.get("payment_intent", intent_id)
            return charges.dispute(ledger, ledger.get("charge", intent["latest_charge"] or ""))

        return self._do(run)

    def close_dispute(self, dispute_id: str, *, won: bool = False) -> Json:
        """The bank decides a dispute."""
        return self._do(lambda ledger: charges.close_dispute(ledger, dispute_id, won=won))

    @property
    def refunds_pend(self) -> bool:
        """Whether new refunds answer ``pending``; set it, then `complete_refund` or `fail_refund`."""
        return self._world.refunds_pend

    @refunds_pend.setter
    def refunds_pend(self, value: bool) -> None:
        self._world.refunds_pend = value

    def complete_refund(self, refund_id: str) -> Json:
        """A pending refund arrives."""
        return self._do(lambda ledger: refunds.complete(ledger, refund_id))

    def fail_refund(self, refund_id: str) -> Json:
        """A pending or succeeded refund comes back; the amount may be refunded again."""
        return self._do(lambda ledger: refunds.fail(ledger, refund_id))

    @property
    def search_lag_seconds(self) -> float:
        """How far search trails behind on the simulated clock; lists never do."""
        return self._world.search_lag_seconds

    @search_lag_seconds.setter
    def search_lag_seconds(self, value: float) -> None:
        self._world.search_lag_seconds = value

    def hold(self, object_id: str) -> AbstractContextManager[None]:
        """Inside the block writes to the object answer 429 ``lock_timeout``."""
        return self._world.ledger.hold(object_id)

    def prune_idempotency(self) -> None:
        """Forget all Idempotency-Keys, as Stripe does after 24 hours or more."""
        self._world.idempotency.prune()
        self._world.save()

    def add_webhook(
        self,
        url: str,
        secret: str,
        *,
        api_version: str = API_VERSION,
        enabled_events: Iterable[str] = ("*",),
    ) -> WebhookEndpoint:
        """Send events from now on to `url`, signed with `secret`.

        Raises:
            ValueError: no secret, or no http URL.
        """
        return self.webhooks.add(url, secret, api_version=api_version, enabled_events=enabled_events)

    def _do(self, run: Callable[[Ledger], Json]) -> Json:
        ledger = self._world.ledger
        with ledger.lock:
            ledger.request = {"id": None, "idempotency_key": None}
            try:
                return copy.deepcopy(run(ledger))
            finally:
                self._world.save()

    def _event(self, event_id: str) -> Json:
        with self._world.ledger.lock:
            return copy.deepcopy(self._world.ledger.get("event", event_id))
