"""Planned faults."""

from __future__ import annotations

import threading

import pytest

from flask_encore.testing.stripe_simulator.faults import Faults, matches

CONFIRM = "/v1/payment_intents/*/confirm"


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/v1/refunds", "/v1/refunds", True),
        ("/v1/refunds", "/v1/refunds/re_1", False),
        (CONFIRM, "/v1/payment_intents/pi_1/confirm", True),
        (CONFIRM, "/v1/payment_intents/pi_1", False),
        ("/v1/payment_intents/*", "/v1/payment_intents/pi_1/confirm", False),
        ("/v1/**", "/v1/payment_intents/pi_1/confirm", True),
    ],
)
def test_a_star_is_one_segment_and_two_are_any(pattern: str, path: str, fits: bool) -> None:
    assert matches(pattern, path) is fits


def test_a_fault_strikes_as_often_as_planned_and_only_where_planned() -> None:
    faults = Faults()
    faults.add(CONFIRM, "drop_after", times=2)

    assert faults.pop("GET", "/v1/payment_intents/pi_1/confirm") is None
    assert faults.pop("POST", "/v1/payment_intents") is None
    struck = [faults.pop("POST", "/v1/payment_intents/pi_1/confirm") for _ in range(3)]
    assert [fault and fault.kind for fault in struck] == ["drop_after", "drop_after", None]
    assert faults.pending() == []


def test_faults_strike_in_the_order_they_were_planned() -> None:
    faults = Faults()
    faults.add("/v1/**", "drop_before", method="*")
    faults.add("/v1/**", "hang(2.5)", method="*")

    first, second = faults.pop("GET", "/v1/a"), faults.pop("POST", "/v1/b")

    assert first is not None and second is not None
    assert (first.kind, second.kind, second.seconds) == ("drop_before", "hang", 2.5)


def test_an_unknown_fault_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown fault 'drop_sideways'; there are drop_before, drop_after"):
        Faults().add("/v1/**", "drop_sideways")


def test_a_hanging_request_goes_on_when_released() -> None:
    faults = Faults()
    thread = threading.Thread(target=faults.hang, args=(60.0,))
    thread.start()

    assert faults.await_hanging(1)
    faults.release()
    thread.join(timeout=5)

    assert not thread.is_alive()
    assert not faults.await_hanging(1, timeout=0)


def test_clearing_forgets_what_was_planned() -> None:
    faults = Faults()
    faults.add("/v1/**", "drop_before")
    faults.clear()

    assert faults.pop("POST", "/v1/refunds") is None
