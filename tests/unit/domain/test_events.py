"""The payload of an event: everything comes back as it was told, and what an earlier release queued is still read."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from flask_encore import Money
from flask_encore.domain.events import ChargeEvent, EventKind
from flask_encore.domain.prices import OfferLine

GIFT = ChargeEvent(
    kind=EventKind.CHARGE_SUCCEEDED,
    order_ref="1042",
    charge_ref="ch-1",
    sku="mug",
    title="Mug + Tea",
    quantity=1,
    amount=Money(2520, "gbp"),
    payment_intent_ref="pi_7",
    occurred_at=datetime(2026, 3, 2, 14, 3, tzinfo=UTC),
    undo_until=datetime(2026, 3, 2, 14, 33, tzinfo=UTC),
    detail="",
    lines=(
        OfferLine(sku="mug", title="Mug", quantity=1, item=Money(1290, "gbp"), discount=Money(290, "gbp")),
        OfferLine(sku="wrap", title="Wrap", quantity=1, item=Money(800, "gbp"), discount=Money(0, "gbp"), ships=False),
    ),
    shipping=Money(300, "gbp"),
    tax=Money(420, "gbp"),
    tax_included=False,
    text="For Ada\nwith \N{BLACK HEART SUIT}",
    campaign_ref="gifts",
)

#: As 0.2 wrote it, and as it may wait in an outbox while the shop is upgraded.
EARLIER = {
    "kind": "hold_released",
    "order_ref": "1042",
    "charge_ref": "ch-1",
    "sku": "mug",
    "title": "Enamel mug",
    "quantity": 1,
    "amount_minor": 1161,
    "currency": "gbp",
    "payment_intent_ref": "pi_7",
    "occurred_at": "2026-03-02T14:03:00+00:00",
    "undo_until": None,
    "detail": "",
}


def test_an_event_comes_back_from_its_payload_as_it_was() -> None:
    assert ChargeEvent.from_json(json.loads(json.dumps(GIFT.as_json()))) == GIFT


def test_an_event_of_an_earlier_release_is_of_one_line_at_the_whole_amount() -> None:
    event = ChargeEvent.from_json(EARLIER)

    mug = OfferLine(sku="mug", title="Enamel mug", quantity=1, item=Money(1161, "gbp"), discount=Money(0, "gbp"))
    assert event.lines == (mug,)
    assert (event.shipping, event.tax, event.tax_included) == (Money(0, "gbp"), None, True)
    assert (event.text, event.campaign_ref) == ("", None)
    assert ChargeEvent.from_json(event.as_json()) == event
