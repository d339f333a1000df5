"""What an Idempotency-Key remembers."""

from __future__ import annotations

import pytest

from flask_encore.testing.stripe_simulator import StripeError
from flask_encore.testing.stripe_simulator.idempotency import IdempotencyStore

CREATE = "/v1/payment_intents"


def test_the_first_request_executes_and_the_second_gets_its_answer() -> None:
    store = IdempotencyStore()

    assert store.begin("k", CREATE, {"amount": "500"}) is None
    store.finish("k", 200, {"id": "pi_1"})

    assert store.begin("k", CREATE, {"amount": "500"}) == (200, {"id": "pi_1"})


def test_a_running_request_keeps_its_key_to_itself() -> None:
    store = IdempotencyStore()
    store.begin("k", CREATE, {})

    with pytest.raises(StripeError) as refusal:
        store.begin("k", CREATE, {})

    assert refusal.value.status == 409
    assert refusal.value.body["error"]["code"] == "idempotency_key_in_use"


@pytest.mark.parametrize(
    ("path", "params"), [(CREATE, {"amount": "501"}), ("/v1/refunds", {"amount": "500"})], ids=["params", "path"]
)
def test_one_key_means_one_request(path: str, params: dict[str, str]) -> None:
    store = IdempotencyStore()
    store.begin("k", CREATE, {"amount": "500"})
    store.finish("k", 200, {"id": "pi_1"})

    with pytest.raises(StripeError) as refusal:
        store.begin("k", path, params)

    assert (refusal.value.status, refusal.value.body["error"]["type"]) == (400, "idempotency_error")
    assert store.begin("k", CREATE, {"amount": "500"}) == (200, {"id": "pi_1"})


def test_the_order_of_parameters_does_not_matter() -> None:
    store = IdempotencyStore()
    store.begin("k", CREATE, {"a": "1", "b": "2"})
    store.finish("k", 200, {})

    assert store.begin("k", CREATE, {"b": "2", "a": "1"}) == (200, {})


def test_a_released_key_is_free_for_other_parameters() -> None:
    store = IdempotencyStore()
    store.begin("k", CREATE, {"amount": "1"})
    store.release("k")

    assert store.begin("k", CREATE, {"amount": "500"}) is None


def test_pruning_forgets_every_key_and_ignores_late_answers() -> None:
    store = IdempotencyStore()
    store.begin("k", CREATE, {})
    store.prune()
    store.finish("k", 200, {"id": "pi_late"})

    assert store.begin("k", CREATE, {}) is None


def test_a_key_has_at_most_255_characters() -> None:
    store = IdempotencyStore()

    assert store.begin("k" * 255, CREATE, {}) is None
    with pytest.raises(StripeError):
        store.begin("k" * 256, CREATE, {})


def test_answered_keys_survive_a_restart_and_running_ones_do_not() -> None:
    store, restarted = IdempotencyStore(), IdempotencyStore()
    store.begin("answered", CREATE, {})
    store.finish("answered", 402, {"error": {}})
    store.begin("running", CREATE, {})

    restarted.load(store.answered())

    assert restarted.begin("answered", CREATE, {}) == (402, {"error": {}})
    assert restarted.begin("running", CREATE, {}) is None
