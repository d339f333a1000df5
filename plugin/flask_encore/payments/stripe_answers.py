"""Stripe's answers in the words of the ports. Knows its JSON, not its SDK.

Every answer becomes a plain ``dict`` first, because the SDK's objects are dicts before version 15 and are not since.
A field that is missing or of the wrong kind raises; whoever asked treats that as no answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from flask_encore.domain.errors import SignatureInvalid
from flask_encore.domain.money import Money
from flask_encore.domain.ports import (
    CHARGE_KEY,
    Fee,
    GatewayEvent,
    IntentSnapshot,
    IntentStatus,
    PaymentSnapshot,
    RefundSnapshot,
    RefundStatus,
)

T = TypeVar("T")


def code(told: Mapping[str, Any]) -> str:
    """Machine-readable code of an error object, else its type; empty when it has neither.

    The SDK's own ``.code`` is empty on half of its classes, and a wrong key is told by type only.
    """
    return str(told.get("code") or told.get("type") or "")


def failure_code(told: Mapping[str, Any] | None) -> str:
    """The bank's decline code, else Stripe's code; empty when there was no error."""
    return str(told.get("decline_code") or told.get("code") or "") if told else ""


def plain(answer: Any) -> dict[str, Any]:
    """An SDK object as nested dicts; ``str()`` of it is JSON in every supported version, ``to_dict()`` is not."""
    found = json.loads(json.dumps(answer) if isinstance(answer, dict) else str(answer))
    if not isinstance(found, dict):
        raise TypeError("Stripe answered something that is not an object")
    return found


def field(found: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """A field that has to be there and of *kind*; ``True`` is not an ``int`` here."""
    value = found[name]
    if type(value) is not kind:
        raise TypeError(f"{name} is {type(value).__name__}, not {kind.__name__}")
    return value


def ref(value: Any) -> str | None:
    """The id of a field that is an id, an expanded object, or null."""
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) else None


def intent_snapshot(answer: Any) -> IntentSnapshot:
    """A PaymentIntent, from the SDK's object or from the one inside an error."""
    intent = plain(answer)
    failure = intent.get("last_payment_error")
    tried = next((one for one in (intent["payment_method"], (failure or {}).get("payment_method")) if one), None)
    card = (tried.get("card") if isinstance(tried, dict) else None) or {}
    return IntentSnapshot(
        ref=field(intent, "id", str),
        status=IntentStatus(intent["status"]),
        amount=Money(intent["amount"], intent["currency"]),
        amount_received=field(intent, "amount_received", int),
        customer_ref=ref(intent["customer"]),
        payment_method_ref=ref(intent["payment_method"]),
        livemode=field(intent, "livemode", bool),
        created=field(intent, "created", int),
        metadata=field(intent, "metadata", dict),
        failure_code=failure_code(failure),
        card_brand=card.get("brand") or "",
        card_last4=card.get("last4") or "",
        client_secret=intent.get("client_secret") or "",
    )


def payment_snapshot(answer: Any) -> PaymentSnapshot:
    """A PaymentIntent whose payment method is expanded."""
    intent = plain(answer)
    method = intent["payment_method"] or {}
    card = method.get("card") or {}
    customer_ref = ref(intent["customer"])
    return PaymentSnapshot(
        payment_intent_ref=field(intent, "id", str),
        status=IntentStatus(intent["status"]),
        amount=Money(intent["amount"], intent["currency"]),
        livemode=field(intent, "livemode", bool),
        customer_ref=customer_ref,
        payment_method_ref=method.get("id"),
        payment_method_type=method.get("type", ""),
        attached=customer_ref is not None and ref(method.get("customer")) == customer_ref,
        card_brand=card.get("brand") or "",
        card_last4=card.get("last4") or "",
    )


def refund_snapshot(answer: Any) -> RefundSnapshot:
    """A refund of a PaymentIntent."""
    refund = plain(answer)
    payment_intent_ref = ref(refund["payment_intent"])
    if payment_intent_ref is None:
        raise ValueError("a refund of no PaymentIntent")
    return RefundSnapshot(
        ref=field(refund, "id", str),
        status=RefundStatus(refund["status"]),
        amount=Money(refund["amount"], refund["currency"]),
        payment_intent_ref=payment_intent_ref,
        metadata=refund["metadata"] or {},
    )


def fee(answer: Any) -> Fee | None:
    """What Stripe kept, of a PaymentIntent whose ``latest_charge.balance_transaction`` is expanded.

    Stripe writes that line of the balance a while after the money moved; until then there is none.
    """
    charge = plain(answer)["latest_charge"]
    line = None if charge is None else charge["balance_transaction"]
    return None if line is None else Fee(amount=Money(field(line, "fee", int), field(line, "currency", str)))


def gateway_event(event: Any) -> GatewayEvent:
    """A parsed v1 event. Objects without an id of their own (a balance) have an empty *object_ref*.

    Raises:
        SignatureInvalid: If it is another kind of message.
    """
    if event["object"] != "event":
        raise SignatureInvalid("The webhook is not a v1 event; thin events are not supported.")
    about = event["data"]["object"]
    return GatewayEvent(
        id=field(event, "id", str),
        type=field(event, "type", str),
        object_ref=ref(about) or "",
        payment_intent_ref=ref(about if about.get("object") == "payment_intent" else about.get("payment_intent")),
        livemode=field(event, "livemode", bool),
        account=ref(event.get("account")),
        charge_ref=ref((about.get("metadata") or {}).get(CHARGE_KEY)) or "",
    )
