"""The Stripe simulator over HTTP, met by the real SDK, by a browser's key and by bad luck."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import stripe

from flask_encore.testing import StripeSimulator

CREATE = {"amount": 1290, "currency": "gbp", "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}


@pytest.fixture
def sim() -> Iterator[StripeSimulator]:
    with StripeSimulator() as running:
        yield running


def client_of(sim: StripeSimulator, *, read_timeout: float = 20.0, key: str | None = None) -> Any:
    """The SDK's client, without its own retries."""
    return stripe.StripeClient(
        key or sim.secret_key,
        base_addresses={"api": sim.url},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=(3.0, read_timeout)),
    ).v1


@pytest.fixture
def client(sim: StripeSimulator) -> Any:
    return client_of(sim)


def kept(sim: StripeSimulator, card: str = "4242424242424242") -> dict[str, Any]:
    """Parameters of a second charge on a card that paid before."""
    paid = sim.paid_intent(amount=1530, currency="gbp", card=card)
    return {**CREATE, "customer": paid["customer"], "payment_method": paid["payment_method"]}


def all_at_once(count: int, run: Callable[[], Any]) -> list[Any]:
    """Results or Stripe errors of `count` threads that start together."""
    gate, results = threading.Barrier(count), []

    def one() -> None:
        gate.wait()
        try:
            results.append(run())
        except stripe.StripeError as error:
            results.append(error)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class TestIdempotency:
    def test_the_same_key_gets_the_same_answer_and_says_so(self, sim: StripeSimulator, client: Any) -> None:
        first = client.payment_intents.create(CREATE, {"idempotency_key": "k"})
        again = client.payment_intents.create(CREATE, {"idempotency_key": "k"})

        assert first.id == again.id
        assert "Idempotent-Replayed" not in first.last_response.headers
        assert again.last_response.headers["Idempotent-Replayed"] == "true"
        assert len(sim.intents()) == 1

    def test_thirty_parallel_posts_with_one_key_make_one_intent(self, sim: StripeSimulator, client: Any) -> None:
        results = all_at_once(30, lambda: client.payment_intents.create(CREATE, {"idempotency_key": "k"}))

        answered = [each for each in results if not isinstance(each, stripe.StripeError)]
        refused = [each.error.code for each in results if isinstance(each, stripe.StripeError)]
        assert len(sim.intents()) == 1
        assert {each.id for each in answered} == {sim.intents()[0]["id"]}
        assert set(refused) <= {"idempotency_key_in_use"}
        assert len(sim.calls("/v1/payment_intents")) == 30

    def test_thirty_parallel_confirmations_with_thirty_keys_charge_once(
        self, sim: StripeSimulator, client: Any
    ) -> None:
        intent = client.payment_intents.create(kept(sim))
        charged_before = len(sim.charges())

        results = all_at_once(30, lambda: client.payment_intents.confirm(intent.id))

        codes = [each.code for each in results if isinstance(each, stripe.StripeError)]
        assert codes == ["payment_intent_unexpected_state"] * 29
        assert len(sim.charges()) == charged_before + 1

    def test_other_parameters_under_the_same_key_are_an_idempotency_error(
        self, sim: StripeSimulator, client: Any
    ) -> None:
        client.payment_intents.create(CREATE, {"idempotency_key": "k"})

        with pytest.raises(stripe.IdempotencyError):
            client.payment_intents.create({**CREATE, "amount": 1291}, {"idempotency_key": "k"})
        with pytest.raises(stripe.IdempotencyError):
            client.customers.create({}, {"idempotency_key": "k"})
        assert (len(sim.intents()), len(sim.customers())) == (1, 0)

    def test_refused_input_leaves_the_key_free(self, client: Any) -> None:
        with pytest.raises(stripe.InvalidRequestError):
            client.payment_intents.create({**CREATE, "amount": 29}, {"idempotency_key": "k"})

        assert client.payment_intents.create(CREATE, {"idempotency_key": "k"}).amount == 1290

    def test_a_decline_is_remembered_like_a_success(self, sim: StripeSimulator, client: Any) -> None:
        intent = client.payment_intents.create(kept(sim, card="4000000000000341"))

        for _ in range(2):
            with pytest.raises(stripe.CardError) as refusal:
                client.payment_intents.confirm(intent.id, {}, {"idempotency_key": "k"})
        assert refusal.value.headers["Idempotent-Replayed"] == "true"
        assert [event["type"] for event in sim.events].count("charge.failed") == 1

    def test_a_pruned_key_executes_anew(self, sim: StripeSimulator, client: Any) -> None:
        client.payment_intents.create(CREATE, {"idempotency_key": "k"})
        sim.prune_idempotency()
        client.payment_intents.create(CREATE, {"idempotency_key": "k"})

        assert len(sim.intents()) == 2


class TestFaults:
    @pytest.mark.parametrize(
        ("kind", "error", "made", "made_after_retry"),
        [
            ("drop_before", stripe.APIConnectionError, 0, 1),
            ("drop_after", stripe.APIConnectionError, 1, 1),
            ("error_500_before", stripe.APIError, 0, 1),
            ("rate_limit_429", stripe.RateLimitError, 0, 1),
            ("lock_timeout_429", stripe.RateLimitError, 0, 1),
            ("conflict_409", stripe.APIError, 0, 1),
        ],
    )
    def test_the_same_key_finishes_what_a_fault_interrupted(
        self,
        sim: StripeSimulator,
        client: Any,
        kind: str,
        error: type[Exception],
        made: int,
        made_after_retry: int,
    ) -> None:
        sim.faults.add("/v1/payment_intents", kind)

        with pytest.raises(error):
            client.payment_intents.create(CREATE, {"idempotency_key": "k"})
        assert len(sim.intents()) == made

        assert client.payment_intents.create(CREATE, {"idempotency_key": "k"}).status == "requires_payment_method"
        assert len(sim.intents()) == made_after_retry

    def test_a_500_after_execution_stays_under_its_key(self, sim: StripeSimulator, client: Any) -> None:
        sim.faults.add("/v1/payment_intents", "error_500_after")

        for _ in range(2):
            with pytest.raises(stripe.APIError) as failure:
                client.payment_intents.create(CREATE, {"idempotency_key": "k"})
            assert failure.value.http_status == 500
        assert len(sim.intents()) == 1

    def test_a_hanging_request_blocks_its_key_and_executes_late(self, sim: StripeSimulator, client: Any) -> None:
        impatient = client_of(sim, read_timeout=0.2)
        sim.faults.add("/v1/payment_intents", "hang")

        with pytest.raises(stripe.APIConnectionError):
            impatient.payment_intents.create(CREATE, {"idempotency_key": "k"})
        assert sim.intents() == []
        with pytest.raises(stripe.APIError) as conflict:
            client.payment_intents.create(CREATE, {"idempotency_key": "k"})
        assert (conflict.value.http_status, conflict.value.error.code) == (409, "idempotency_key_in_use")

        assert sim.faults.await_hanging()
        sim.faults.release()
        assert sim.wait_until_idle()
        assert len(sim.intents()) == 1

    def test_a_late_answer_was_executed_at_once(self, sim: StripeSimulator) -> None:
        impatient = client_of(sim, read_timeout=0.2)
        sim.faults.add("/v1/payment_intents", "hang_after(30)")

        with pytest.raises(stripe.APIConnectionError):
            impatient.payment_intents.create(CREATE, {"idempotency_key": "k"})

        assert len(sim.intents()) == 1
        assert impatient.payment_intents.create(CREATE, {"idempotency_key": "k"}).id == sim.intents()[0]["id"]

    def test_a_held_object_answers_lock_timeout_to_writes_and_lets_reads_through(
        self, sim: StripeSimulator, client: Any
    ) -> None:
        intent = client.payment_intents.create(kept(sim))

        with sim.hold(intent.id):
            with pytest.raises(stripe.RateLimitError) as refusal:
                client.payment_intents.confirm(intent.id)
            assert refusal.value.error.code == "lock_timeout"
            assert client.payment_intents.retrieve(intent.id).status == "requires_confirmation"

        assert client.payment_intents.confirm(intent.id).status == "succeeded"

    def test_a_get_can_fail_too(self, sim: StripeSimulator, client: Any) -> None:
        intent = client.payment_intents.create(CREATE)
        sim.faults.add("/v1/payment_intents/*", "drop_before", method="GET")

        with pytest.raises(stripe.APIConnectionError):
            client.payment_intents.retrieve(intent.id)
        assert client.payment_intents.retrieve(intent.id).id == intent.id


class TestTheDoor:
    def test_a_wrong_key_is_401(self, sim: StripeSimulator) -> None:
        with pytest.raises(stripe.AuthenticationError):
            client_of(sim, key="sk_test_somebody_else").payment_intents.create(CREATE)
        assert sim.intents() == []

    def test_no_key_is_401(self, sim: StripeSimulator) -> None:
        assert requests.get(f"{sim.url}/v1/account", timeout=5).status_code == 401

    def test_another_account_is_403(self, client: Any) -> None:
        with pytest.raises(stripe.PermissionError):
            client.payment_intents.create(CREATE, {"stripe_account": "acct_other"})

    def test_the_publishable_key_may_not_do_what_a_server_does(self, sim: StripeSimulator) -> None:
        with pytest.raises(stripe.AuthenticationError, match="publishable"):
            client_of(sim, key=sim.publishable_key).payment_intents.create(CREATE)

    def test_a_browser_sees_an_intent_by_its_client_secret_only(self, sim: StripeSimulator, client: Any) -> None:
        intent = client.payment_intents.create(CREATE)
        where = f"{sim.url}/v1/payment_intents/{intent.id}"
        key = {"Authorization": f"Bearer {sim.publishable_key}"}

        mine = requests.get(where, {"client_secret": intent.client_secret}, headers=key, timeout=5)
        guessed = requests.get(where, {"client_secret": f"{intent.id}_secret_x"}, headers=key, timeout=5)

        assert (mine.status_code, mine.json()["id"]) == (200, intent.id)
        assert mine.headers["Access-Control-Allow-Origin"] == "*"
        assert guessed.status_code == 400

    def test_a_preflight_is_answered(self, sim: StripeSimulator) -> None:
        answer = requests.options(f"{sim.url}/v1/payment_intents/pi_1/confirm", timeout=5)

        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (204, "*")

    def test_an_unknown_path_is_404(self, client: Any) -> None:
        with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL") as refusal:
            client.products.list()
        assert refusal.value.http_status == 404

    def test_a_body_that_is_too_large_is_413(self, sim: StripeSimulator) -> None:
        key = {"Authorization": f"Bearer {sim.secret_key}"}
        answer = requests.post(f"{sim.url}/v1/customers", b"a" * 1_000_001, headers=key, timeout=5)

        assert answer.status_code == 413

    def test_every_answer_names_its_request(self, client: Any) -> None:
        assert client.payment_intents.create(CREATE).last_response.headers["Request-Id"].startswith("req_")

    def test_every_call_is_recorded_with_its_key_and_status(self, sim: StripeSimulator, client: Any) -> None:
        client.payment_intents.create(CREATE, {"idempotency_key": "k"})
        with pytest.raises(stripe.InvalidRequestError):
            client.payment_intents.retrieve("pi_none")

        first, second = sim.requests
        assert (first.method, first.path, first.status, first.idempotency_key) == (
            "POST",
            "/v1/payment_intents",
            200,
            "k",
        )
        assert first.params["amount"] == "1290"
        assert (second.method, second.path, second.status) == ("GET", "/v1/payment_intents/pi_none", 404)
        sim.forget_requests()
        assert sim.requests == []


class TestShapes:
    @pytest.mark.parametrize(
        ("params", "code", "param"),
        [
            ({"colour": "red"}, "parameter_unknown", "colour"),
            ({"idempotency_key": "k"}, "parameter_unknown", "idempotency_key"),
            (
                {"payment_method_options": {"card": {"colour": "red"}}},
                "parameter_unknown",
                "payment_method_options[card][colour]",
            ),
            ({"amount": "twelve"}, "parameter_invalid_integer", "amount"),
            ({"amount": 12.5}, "parameter_invalid_integer", "amount"),
        ],
    )
    def test_a_parameter_stripe_does_not_know_is_refused(
        self, sim: StripeSimulator, client: Any, params: dict[str, Any], code: str, param: str
    ) -> None:
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.payment_intents.create({**CREATE, **params})

        assert (refusal.value.code, refusal.value.param) == (code, param)
        assert sim.intents() == []

    def test_an_unknown_parameter_passes_when_checking_is_off(self) -> None:
        with StripeSimulator(check_shapes=False) as sim:
            assert client_of(sim).payment_intents.create({**CREATE, "colour": "red"}).amount == 1290

    def test_naming_payment_method_types_ended_with_the_endive_version(self, sim: StripeSimulator) -> None:
        params = {"amount": "1290", "currency": "gbp", "payment_method_types[0]": "card"}
        headers = {"Authorization": f"Bearer {sim.secret_key}"}

        def post(version: str) -> requests.Response:
            versioned = {**headers, "Stripe-Version": version}
            return requests.post(f"{sim.url}/v1/payment_intents", params, headers=versioned, timeout=5)

        now = post("2026-10-28.endive")
        assert (now.status_code, now.json()["error"]["code"]) == (400, "payment_method_types_no_longer_supported")
        assert sim.intents() == []
        assert post("2025-08-27.basil").json()["payment_method_types"] == ["card"]

    def test_allowing_types_began_with_dahlia_and_excludes_the_automatic_choice(
        self, sim: StripeSimulator, client: Any
    ) -> None:
        params = {"amount": 1290, "currency": "gbp", "allowed_payment_method_types": ["card"]}

        with pytest.raises(stripe.InvalidRequestError) as early:
            client.payment_intents.create(params, {"stripe_version": "2025-08-27.basil"})
        with pytest.raises(stripe.InvalidRequestError) as both:
            client.payment_intents.create({**CREATE, **params})

        assert (early.value.code, both.value.param) == ("parameter_unknown", "allowed_payment_method_types")
        assert sim.intents() == []
        assert client.payment_intents.create(params).payment_method_types == ["card"]


class TestWebhooks:
    def test_the_sdk_accepts_a_signed_event(self, sim: StripeSimulator) -> None:
        sim.paid_intent(amount=1530, currency="gbp")
        body, header = sim.webhooks.signed(sim.events[-1], secret="whsec_x")

        event = stripe.StripeClient(sim.secret_key).construct_event(body, header, "whsec_x")

        assert event.type == "payment_intent.succeeded"
        assert (event.livemode, event.data.object["amount"]) == (False, 1530)

    def test_the_sdk_refuses_another_secret_and_an_old_signature(self, sim: StripeSimulator) -> None:
        sim.paid_intent(amount=1530, currency="gbp")
        client = stripe.StripeClient(sim.secret_key)
        fresh = sim.webhooks.signed(sim.events[-1], secret="whsec_x")
        old = sim.webhooks.signed(sim.events[-1], secret="whsec_x", timestamp=1_000)

        with pytest.raises(stripe.SignatureVerificationError):
            client.construct_event(*fresh, "whsec_other")
        with pytest.raises(stripe.SignatureVerificationError):
            client.construct_event(*old, "whsec_x")

    def test_endpoints_and_events_can_be_listed(self, sim: StripeSimulator, client: Any) -> None:
        sim.webhooks.auto = False
        sim.add_webhook("http://127.0.0.1:9/encore/stripe/webhook", "whsec_x", enabled_events=["refund.created"])
        intent = client.payment_intents.create({**kept(sim), "confirm": True})
        client.refunds.create({"payment_intent": intent.id})

        (endpoint,) = client.webhook_endpoints.list().data
        assert (endpoint.url, endpoint.enabled_events, endpoint.livemode) == (
            "http://127.0.0.1:9/encore/stripe/webhook",
            ["refund.created"],
            False,
        )
        (event,) = client.events.list({"type": "refund.created"}).data
        assert client.events.retrieve(event.id).data.object["amount"] == 1290
        assert event.request["idempotency_key"] == sim.calls("/v1/refunds")[0].idempotency_key
        assert [each.type for each in sim.webhooks.pending()] == ["refund.created"]


class TestTheServer:
    def test_starting_twice_is_refused_and_stopping_twice_is_not(self) -> None:
        sim = StripeSimulator().start()
        with pytest.raises(RuntimeError, match="runs already"):
            sim.start()
        sim.stop()
        sim.stop()
        with pytest.raises(RuntimeError, match="start the simulator first"):
            _ = sim.url

    def test_it_listens_on_loopback_only(self, sim: StripeSimulator) -> None:
        assert sim.url.startswith("http://127.0.0.1:")

    def test_stopping_ends_hanging_requests_and_leaves_no_thread(self) -> None:
        before = threading.active_count()
        with StripeSimulator() as sim:
            sim.faults.add("/v1/payment_intents", "hang")
            client = client_of(sim)
            results: list[Exception] = []

            def post() -> None:
                try:
                    client.payment_intents.create(CREATE)
                except stripe.StripeError as error:
                    results.append(error)

            caller = threading.Thread(target=post)
            caller.start()
            assert sim.faults.await_hanging()
        caller.join(timeout=5)

        assert [type(each) for each in results] == [stripe.APIConnectionError]
        assert sim.intents() == []
        assert threading.active_count() == before

    def test_it_starts_again_with_its_state(self) -> None:
        sim = StripeSimulator()
        with sim:
            intent = client_of(sim).payment_intents.create(CREATE)
        with sim:
            assert client_of(sim).payment_intents.retrieve(intent.id).amount == 1290

    def test_an_idempotency_key_survives_a_restart_with_a_state_file(self, tmp_path: Path) -> None:
        path = tmp_path / "stripe.json"
        with StripeSimulator(state_file=path) as sim:
            first = client_of(sim).payment_intents.create(CREATE, {"idempotency_key": "k"})
        with StripeSimulator(state_file=path) as sim:
            again = client_of(sim).payment_intents.create(CREATE, {"idempotency_key": "k"})

        assert first.id == again.id

    def test_it_runs_alone_from_the_command_line(self, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "flask_encore.testing.stripe_simulator", "--port", "0"]
        path = os.pathsep.join(sys.path)
        with subprocess.Popen(
            [*command, "--state", str(tmp_path / "s.json")],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        ) as process:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            key = {"Authorization": "Bearer sk_test_simulator"}
            answer = requests.get(f"{url}/v1/account", headers=key, timeout=5).json()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0

        assert (answer["id"], answer["object"]) == ("acct_simulator", "account")


def test_the_example_in_the_documentation_runs() -> None:
    from flask_encore.testing import stripe_simulator

    assert stripe_simulator.__doc__ is not None
    code = stripe_simulator.__doc__.split("```python\n")[1].split("```")[0]
    exec(compile(code, "the package's docstring", "exec"), {})
