"""One API call from key check to answer: authorise, fault, deduplicate, check, execute."""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from flask_encore.testing.stripe_simulator import faults, forms, routes, versions
from flask_encore.testing.stripe_simulator.errors import (
    Json,
    StripeError,
    invalid,
    server_error,
    unauthorized,
)
from flask_encore.testing.stripe_simulator.ledger import API_VERSION, new_id
from flask_encore.testing.stripe_simulator.shapes import ShapeChecker
from flask_encore.testing.stripe_simulator.world import World

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """One call the simulator received.

    Attributes:
        method: HTTP method.
        path: without the query.
        params: query and body together, nested.
        headers: as sent.
        status: HTTP status answered; 0 when the connection was cut; None while it runs.
    """

    method: str
    path: str
    params: Json
    headers: Mapping[str, str]
    status: int | None = None

    @property
    def idempotency_key(self) -> str | None:
        """The Idempotency-Key header, when sent."""
        return self.headers.get("Idempotency-Key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back over the wire."""

    status: int
    body: Json
    headers: dict[str, str] = field(default_factory=dict)


class Api:
    """The ``/v1`` half of the server.

    Args:
        world: the state shared by all calls.
        checker: refuses parameters Stripe does not know; None checks nothing.
    """

    def __init__(self, world: World, *, checker: ShapeChecker | None) -> None:
        self._world = world
        self._checker = checker
        self._recorded: list[RecordedRequest] = []
        self._recording = threading.Condition()
        self._running = 0

    @property
    def recorded(self) -> list[RecordedRequest]:
        """Every call so far, in order of arrival."""
        with self._recording:
            return list(self._recorded)

    def forget(self) -> None:
        """Empty the record; a call that runs meanwhile is not added again."""
        with self._recording:
            self._recorded = []

    def wait_until_idle(self, timeout: float) -> bool:
        """Block until no call runs; False when `timeout` seconds passed first."""
        with self._recording:
            return self._recording.wait_for(lambda: self._running == 0, timeout=timeout)

    def answer(self, method: str, path: str, query: str, body: str, headers: Mapping[str, str]) -> Answer:
        """Answer one call.

        Raises:
            ConnectionCut: a fault wants the connection closed instead.
        """
        request_id = new_id("req")
        sent = {"Request-Id": request_id, "Stripe-Version": headers.get("Stripe-Version", API_VERSION)}
        params: Json = {}
        with self._recording:
            record, position = self._recorded, len(self._recorded)
            record.append(RecordedRequest(method=method, path=path, params=params, headers=dict(headers)))
            self._running += 1
        status = 0
        try:
            params.update(forms.decode(query, body))
            answer = self._run(method, path, dict(params), headers, request_id)
            status = answer.status
            return replace(answer, headers=sent | answer.headers)
        except StripeError as error:
            status = error.status
            return Answer(status=status, body=error.body, headers=sent)
        except faults.ConnectionCut:
            raise
        except Exception:
            _log.exception("The simulator itself failed at %s %s", method, path)
            status = 500
            return Answer(status=status, body=server_error(stored=False).body, headers=sent)
        finally:
            with self._recording:
                record[position] = replace(record[position], status=status)
                self._running -= 1
                self._recording.notify_all()

    def _run(self, method: str, path: str, params: Json, headers: Mapping[str, str], request_id: str) -> Answer:
        found = routes.find(method, path)
        in_browser = self._authorize(found, params, headers)
        if found is None:
            raise StripeError(404, "invalid_request_error", f"Unrecognized request URL ({method}: {path}).")
        route, object_id = found
        version = headers.get("Stripe-Version")
        if method == "POST":
            versions.check(path, params, version=version or API_VERSION)
        if self._checker is not None and route.shape is not None and not in_browser:
            self._checker.check(route.shape, params, version=version)
        fault = self._world.faults.pop(method, path)
        kind = None if fault is None else fault.kind
        if kind == "drop_before":
            raise faults.ConnectionCut
        if kind in faults.REFUSALS:
            raise faults.REFUSALS[kind]()
        key = headers.get("Idempotency-Key") if method == "POST" else None
        if key is not None and (stored := self._world.idempotency.begin(key, path, params)) is not None:
            answer = Answer(status=stored[0], body=stored[1], headers={"Idempotent-Replayed": "true"})
        else:
            if kind == "hang" and fault is not None:
                self._hang(fault.seconds, key)
            context: Json = {"id": request_id, "idempotency_key": key}
            answer = self._once(route, object_id, params, context, fails=kind == "error_500_after")
        if kind == "hang_after" and fault is not None:
            self._world.faults.hang(fault.seconds)
        if kind == "drop_after":
            raise faults.ConnectionCut
        return answer

    def _once(self, route: routes.Route, object_id: str, params: Json, context: Json, *, fails: bool) -> Answer:
        """Execute, and let the idempotency key remember or forget the outcome."""
        stored = True
        try:
            answer = Answer(status=200, body=self._execute(route, object_id, params, context))
        except StripeError as error:
            answer, stored = Answer(status=error.status, body=error.body), error.stored
        except Exception:
            if context["idempotency_key"] is not None:
                self._world.idempotency.release(context["idempotency_key"])
            raise
        if fails and stored:
            answer = Answer(status=500, body=server_error(stored=True).body)
        key = context["idempotency_key"]
        if key is not None:
            if stored:
                self._world.idempotency.finish(key, answer.status, answer.body)
            else:
                self._world.idempotency.release(key)
        if route.method != "GET":
            self._world.save()
        return answer

    def _execute(self, route: routes.Route, object_id: str, params: Json, context: Json) -> Json:
        ledger = self._world.ledger
        with ledger.lock:
            ledger.request = context
            return ledger.expanded(route.run(self._world, object_id, params), params)

    def _hang(self, seconds: float, key: str | None) -> None:
        self._world.faults.hang(seconds)
        if self._world.stopping.is_set():
            if key is not None:
                self._world.idempotency.release(key)
            raise faults.ConnectionCut

    def _authorize(self, found: tuple[routes.Route, str] | None, params: Json, headers: Mapping[str, str]) -> bool:
        """Check the key; True when it is the publishable one, as Stripe.js uses.

        Raises:
            StripeError: 401 for no key or a wrong one, 403 for another account, 400 for a client
                secret that does not belong to the intent.
        """
        given = _key(headers) or params.pop("key", None)
        if given is None:
            raise unauthorized("You did not provide an API key.")
        account = headers.get("Stripe-Account", self._world.ledger.account)
        if account != self._world.ledger.account:
            message = f"The provided key does not have access to account '{account}'."
            raise StripeError(403, "invalid_request_error", message, code="account_invalid", stored=False)
        if given == self._world.secret_key:
            return False
        if given != self._world.publishable_key:
            raise unauthorized(f"Invalid API Key provided: {given[:8]}***")
        if found is None or not found[0].browser:
            raise unauthorized("This API call cannot be made with a publishable API key.")
        if found[1]:
            self._check_client_secret(found[1], params)
        return True

    def _check_client_secret(self, intent_id: str, params: Json) -> None:
        tables = self._world.ledger.tables
        owner = tables["payment_intent"].get(intent_id) or tables["setup_intent"].get(intent_id)
        secret = params.get("client_secret")
        if owner is None or secret is None or owner["client_secret"] != secret:
            message = "The client_secret provided does not match any associated PaymentIntent on this account."
            raise invalid(message, param="client_secret")


def _key(headers: Mapping[str, str]) -> str | None:
    scheme, _, rest = headers.get("Authorization", "").partition(" ")
    if scheme == "Bearer" and rest:
        return rest.strip()
    if scheme == "Basic":
        try:
            return base64.b64decode(rest).decode().split(":", 1)[0]
        except ValueError:
            return None
    return None
