"""Kill the process, lose a request, lose an answer, between any two steps: one acceptance stays one charge.

Every fault is followed by a short wait, in which Stripe still knows the idempotency keys, and by a long one, in which
it has forgotten them; then only sweeps happen. The control at the end shows what the usual way would have charged.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
import stripe as stripe_sdk
from conftest import Shop
from money import NOTHING_SOLD, SOLD_ONCE, Crash, books, click, crash_after, crash_before, heal, offered

from flask_encore.services import settling
from flask_encore.store import outbox

CREATE = "/v1/payment_intents"
CONFIRM = "/v1/payment_intents/*/confirm"
LOOK = "/v1/payment_intents/*"

Arm = Callable[[Shop, pytest.MonkeyPatch], None]


def _network(path: str, kind: str, *, then_blind: bool = False) -> Arm:
    def arm(shop: Shop, _: pytest.MonkeyPatch) -> None:
        shop.stripe.faults.add(path, kind)
        if then_blind:
            shop.stripe.faults.add(LOOK, "drop_before", method="GET")

    return arm


#: What happens -> what the click is answered, and how to make it happen.
FAULTS: dict[str, tuple[str, Arm]] = {
    "crash after the row is inserted": ("crashed", lambda s, m: crash_before(m, s.rt.gateway, "create_intent")),
    "create lost on the way": ("unknown", _network(CREATE, "drop_before")),
    "create executed, answer lost": ("unknown", _network(CREATE, "drop_after")),
    "create executed, 500 answered": ("unknown", _network(CREATE, "error_500_after")),
    "create not executed, 500 answered": ("unknown", _network(CREATE, "error_500_before")),
    "create met a rate limit": ("unknown", _network(CREATE, "rate_limit_429")),
    "create met a lock": ("unknown", _network(CREATE, "lock_timeout_429")),
    "create met its twin": ("unknown", _network(CREATE, "conflict_409")),
    "crash before the id is committed": ("crashed", lambda s, m: crash_after(m, s.rt.gateway, "create_intent")),
    "crash before confirming": ("crashed", lambda s, m: crash_before(m, s.rt.gateway, "confirm_intent")),
    "confirm lost on the way": ("unknown", _network(CONFIRM, "drop_before")),
    "confirm executed, answer lost": ("charged", _network(CONFIRM, "drop_after")),
    "confirm executed, 500 answered": ("charged", _network(CONFIRM, "error_500_after")),
    "confirm executed, answer lost, then blind": ("unknown", _network(CONFIRM, "drop_after", then_blind=True)),
    "confirm executed, 500 answered, then blind": ("unknown", _network(CONFIRM, "error_500_after", then_blind=True)),
    "confirm met a rate limit": ("unknown", _network(CONFIRM, "rate_limit_429")),
    "confirm met a lock": ("unknown", _network(CONFIRM, "lock_timeout_429")),
    "confirm met its twin": ("unknown", _network(CONFIRM, "conflict_409")),
    "crash after confirming": ("crashed", lambda s, m: crash_after(m, s.rt.gateway, "confirm_intent")),
    "crash before the outcome is committed": ("crashed", lambda s, m: crash_before(m, outbox, "add")),
    "crash before the reply": ("crashed", lambda s, m: crash_before(m, settling, "after_commit")),
}

#: How long nobody looks, and whether Stripe forgets its idempotency keys meanwhile.
DELAYS = {"10 seconds": (10, False), "25 hours, keys forgotten": (25 * 3600, True)}


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("fault", FAULTS)
def test_one_acceptance_is_one_charge_one_line_and_one_message_whatever_breaks(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch, fault: str, delay: str
) -> None:
    shop = any_shop
    answer, arm = FAULTS[fault]
    seconds, forgets = DELAYS[delay]
    token = offered(shop)
    original = shop.stripe.intents()[0]
    arm(shop, monkeypatch)

    assert click(shop, token) == answer

    shop.clock.advance(seconds=seconds)
    if forgets:
        shop.stripe.prune_idempotency()
    heal(shop)
    assert books(shop) == SOLD_ONCE
    assert shop.stripe.intents()[0] == original
    assert shop.stripe.faults.pending() == []

    assert shop.accept(shop.token()) == "charged"
    shop.sweep()
    assert books(shop) == SOLD_ONCE


def test_a_crash_at_every_step_of_the_click_and_of_every_sweep_after_it_still_charges_once(
    any_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = any_shop
    token = offered(shop)
    crash_before(monkeypatch, shop.rt.gateway, "create_intent")
    assert click(shop, token) == "crashed"
    for crash, owner, name in [
        (crash_after, shop.rt.gateway, "intents_of"),
        (crash_before, shop.rt.gateway, "create_intent"),
        (crash_after, shop.rt.gateway, "create_intent"),
        (crash_before, shop.rt.gateway, "confirm_intent"),
        (crash_after, shop.rt.gateway, "intent"),
        (crash_after, shop.rt.gateway, "confirm_intent"),
        (crash_before, outbox, "add"),
        (crash_after, outbox, "add"),
    ]:
        shop.clock.advance(minutes=2)
        shop.stripe.prune_idempotency()
        crash(monkeypatch, owner, name)
        with pytest.raises(Crash):
            shop.sweep()
    heal(shop)
    assert books(shop) == SOLD_ONCE


def test_a_card_that_stripe_refuses_before_asking_the_bank_ends_the_offer_and_charges_nothing(any_shop: Shop) -> None:
    shop = any_shop
    token = offered(shop)
    (method,) = shop.stripe.payment_methods()
    stripe_sdk.StripeClient("sk_test_simulator", base_addresses={"api": shop.stripe.url}).v1.payment_methods.detach(
        method["id"]
    )

    assert shop.accept(token) == "canceled"

    heal(shop)
    assert books(shop) == NOTHING_SOLD | {"intents": ["succeeded"]}


def test_an_outcome_unknown_for_three_days_is_cancelled_and_not_charged(any_shop: Shop) -> None:
    shop = any_shop
    token = offered(shop)
    shop.stripe.faults.add(CONFIRM, "drop_before")
    assert shop.accept(token) == "unknown"

    shop.clock.advance(hours=72, seconds=1)
    heal(shop)

    assert shop.state(shop.token()) == "canceled"
    assert books(shop) == NOTHING_SOLD | {"intents": ["succeeded", "canceled"]}


@pytest.mark.parametrize("path", [CREATE, CONFIRM])
def test_a_page_that_asks_how_it_stands_learns_it_before_the_sweeper(any_shop: Shop, path: str) -> None:
    shop = any_shop
    token = offered(shop)
    shop.stripe.faults.add(path, "drop_before")
    assert shop.accept(token) == "unknown"
    shop.stripe.faults.add("/v1/payment_intents**", "drop_before", method="GET")
    assert shop.post(token, "refresh").json["state"] == "unknown"

    assert shop.post(token, "refresh").json["state"] == "charged"

    heal(shop)
    assert books(shop) == SOLD_ONCE


def test_a_database_that_lost_the_charge_row_charges_nobody_twice(any_shop: Shop) -> None:
    shop = any_shop
    token = offered(shop)
    assert shop.accept(token) == "charged"
    with shop.rt.db.write() as connection:
        for table in ("charges", "outbox"):
            connection.execute(sa.text(f"DELETE FROM encore_{table}"))
        connection.execute(sa.text("UPDATE encore_products SET stock = 40 WHERE sku = 'mug'"))

    assert shop.accept(token) == "charged"

    heal(shop)
    assert books(shop) == SOLD_ONCE


@pytest.mark.parametrize(
    ("delay", "charges"), [("10 seconds", [3400, 1161]), ("25 hours, keys forgotten", [3400, 1161, 1161])]
)
def test_control_the_usual_single_call_charges_twice_once_stripe_forgot_the_key(
    shop: Shop, delay: str, charges: list[int]
) -> None:
    seconds, forgets = DELAYS[delay]
    offered(shop)
    row = shop.rows("orders")[0]
    client = stripe_sdk.StripeClient(
        "sk_test_simulator", base_addresses={"api": shop.stripe.url}, max_network_retries=0
    )

    def naive() -> None:
        """Create and confirm in one call under a deterministic key, and repeat the call when nobody answered."""
        client.v1.payment_intents.create(
            {
                "amount": 1161,
                "currency": "gbp",
                "customer": row["stripe_customer_ref"],
                "payment_method": row["payment_method_ref"],
                "allowed_payment_method_types": ["card"],
                "confirm": True,
            },
            {"idempotency_key": f"naive:{row['order_ref']}"},
        )

    shop.stripe.faults.add(CREATE, "drop_after")
    with pytest.raises(stripe_sdk.APIConnectionError):
        naive()
    shop.clock.advance(seconds=seconds)
    if forgets:
        shop.stripe.prune_idempotency()
    naive()

    assert [charge["amount"] for charge in shop.stripe.charges()] == charges
