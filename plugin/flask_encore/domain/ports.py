"""What the journey needs from outside: slow, paid for or random things. The database is not among them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from flask_encore.domain.acceptance import AcceptanceReport, Eligible, Pick, Shown
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Candidate
from flask_encore.domain.training import (
    Assortment,
    Drift,
    LinesSince,
    Pair,
    Running,
    SavedModel,
    TrainingLine,
    TrainingReport,
)


class Clock(Protocol):
    """Tells the time; an argument everywhere, so that tests own it."""

    def __call__(self) -> datetime:
        """Now, timezone-aware, in UTC."""
        ...


class Ranker(Protocol):
    """Ranks what goes with a basket. It is called within a checkout, in a thread of its own."""

    @property
    def version(self) -> str:
        """Name of the model in use; empty when nothing was trained."""
        ...

    def rank(
        self, basket: Sequence[str], *, k: int, exclude: Collection[str] = (), history: Sequence[str] = ()
    ) -> Sequence[Candidate]:
        """At most *k* candidates, best first, none from *basket* or *exclude*; empty when there is nothing to say.

        *history* is what the customer bought in earlier orders, each product once per order that had it, oldest first;
        empty for a guest and for a first order.
        """
        ...


@runtime_checkable
class Inspectable(Protocol):
    """A ranker that can be asked how it is. The trained one can; a shop's own need not."""

    @property
    def problem(self) -> str:
        """Why the newest model is not in use, as a sentence with the fix; empty when all is well."""
        ...

    @property
    def trained_at(self) -> datetime | None:
        """When the model in use was trained; ``None`` without one."""
        ...


@runtime_checkable
class Versioned(Protocol):
    """A ranker that can rank with another of its saved models than the live one. The trained one can."""

    def ranked_by(
        self, version: str, basket: Sequence[str], *, k: int, exclude: Collection[str] = (), history: Sequence[str] = ()
    ) -> Sequence[Candidate]:
        """As `Ranker.rank`, by the saved model *version*. The first call opens it, which may take its time.

        Raises:
            InvalidInput: There is no such model, or it cannot be read.
        """
        ...


@runtime_checkable
class Pairing(Protocol):
    """A ranker that can tell which products it saw bought together. The trained one can; a shop's own need not."""

    def pairs(
        self, *, most: int, fewest_orders: int, by_lift: bool = False, of: Collection[str] | None = None
    ) -> Sequence[Pair]:
        """At most *most* pairs, each once: those bought together most often, or furthest above chance.

        With *of*, only pairs with one of these products, which is named first.
        """
        ...


class Acceptance(Protocol):
    """Knows how likely shoppers accept an offer, and picks the one to show."""

    def pick(
        self, offers: Sequence[Eligible], *, order_ref: str, placement: str, step: int, dial: float, explore: bool
    ) -> Pick:
        """One of *offers*, which are best first and at least one; the same for the same order until it learns.

        *dial* goes from most relevant (0) to most profitable (1); *explore* shows now and then another one of the best.
        """
        ...

    def learn(self, shown: Iterable[Shown], *, dial: float, now: datetime) -> AcceptanceReport:
        """Learn from offers that were answered, oldest first, and put it live unless it is judged to be worse."""
        ...


class Trainer(Protocol):
    """Learns a model from order lines and puts it live in one atomic step."""

    def train(
        self,
        lines: Iterable[TrainingLine],
        *,
        assortment: Assortment,
        now: datetime,
        force: bool = False,
        progress: Callable[[float], None] | None = None,
    ) -> TrainingReport:
        """Train, judge against popularity on the last orders, save, swap. *progress* hears fractions, 0 to 1.

        A model that is in doubt is not put live, unless *force* says so.

        Raises:
            TrainingBusy: Another training is under way; nothing was done.
        """
        ...

    def learn(self, lines: LinesSince, *, assortment: Assortment, now: datetime) -> str:
        """Add the orders that came since the live model to it, and put that live; its version, or empty.

        Every order is first asked about, which is what `drift` tells. Without a new order, without a model, and while
        an older model was put live by hand, nothing is done.

        Raises:
            TrainingBusy: Another training is under way; nothing was done.
        """
        ...

    def drift(self, lines: LinesSince) -> Drift | None:
        """How the live model does on orders that came after it was trained; ``None`` without a model."""
        ...

    def running(self) -> Running | None:
        """The training under way, in whichever process; ``None`` without one."""
        ...

    def models(self) -> Sequence[SavedModel]:
        """The models that can be put live, newest first."""
        ...

    def use(self, version: str) -> None:
        """Put a saved model live.

        Raises:
            InvalidInput: There is no such model, or it cannot be read; the live one stays.
        """
        ...

    def keep(self, versions: Collection[str]) -> None:
        """From now on, remove none of *versions*, and those of the call before no longer for its sake. Idempotent."""
        ...


#: Metadata under which a PaymentIntent, or a refund, names the charge it was made for.
CHARGE_KEY = "encore_charge"


class IntentStatus(StrEnum):
    """A PaymentIntent's status, in Stripe's words; they stop at this border."""

    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    REQUIRES_CAPTURE = "requires_capture"
    CANCELED = "canceled"
    SUCCEEDED = "succeeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentSnapshot:
    """What Stripe says about the payment of the original order. The caller's word is never taken for these.

    Attributes:
        customer_ref: Stripe Customer, ``None`` when the payment has none.
        payment_method_ref: ``None`` when there is none.
        payment_method_type: Such as ``card``; empty when there is no payment method.
        attached: Whether the payment method is saved to that customer, so it can be charged again.
    """

    payment_intent_ref: str
    status: IntentStatus
    amount: Money
    livemode: bool
    customer_ref: str | None
    payment_method_ref: str | None
    payment_method_type: str
    attached: bool
    card_brand: str
    card_last4: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRequest:
    """What an unconfirmed PaymentIntent is created from; all of it frozen in the charge row (invariant I4)."""

    amount: Money
    customer_ref: str
    payment_method_ref: str
    payment_method_type: str
    description: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentSnapshot:
    """A PaymentIntent as Stripe last told it.

    Attributes:
        failure_code: Decline code, else error code, of the last failed attempt; empty when there was none.
        client_secret: Handed to the page that owns the offer, never stored or logged.
        amount_received: Minor units that really moved.
        card_brand: Of the payment method that was tried last, where the answer tells; empty otherwise. So *card_last4*.
    """

    ref: str
    status: IntentStatus
    amount: Money
    amount_received: int
    customer_ref: str | None
    payment_method_ref: str | None
    livemode: bool
    created: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    failure_code: str = ""
    card_brand: str = ""
    card_last4: str = ""
    client_secret: str = field(default="", repr=False)


class RefundStatus(StrEnum):
    """A refund's status, in Stripe's words."""

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundSnapshot:
    """A refund as Stripe last told it."""

    ref: str
    status: RefundStatus
    amount: Money
    payment_intent_ref: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee:
    """What Stripe kept of a charge, in the currency it settles in, which need not be the charge's.

    Stripe gives it back with no refund, and what it takes for a dispute is none of it.
    """

    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayEvent:
    """A verified webhook. Only its identity is used: what it says is read anew from Stripe (invariant I6).

    Attributes:
        object_ref: The id of the object it is about (``pi_…``, ``re_…``, ``dp_…``).
        payment_intent_ref: The PaymentIntent that object belongs to; ``None`` when there is none.
        charge_ref: What its metadata calls our charge (``encore_charge``); empty when it is not ours. Only a hint for
            looking the row up: the row decides.
    """

    id: str
    type: str
    object_ref: str
    payment_intent_ref: str | None
    livemode: bool
    account: str | None
    charge_ref: str = ""


class Gateway(Protocol):
    """Moves money. Every method is one HTTP call, without retries, outside any database transaction.

    Raises:
        GatewayUnknown: It may or may not have been executed.
        GatewayBusy: It was not executed; repeat with the same key.
        GatewayRefused: It was not executed and will not be.
    """

    @property
    def livemode(self) -> bool:
        """Whether the key moves real money."""
        ...

    def payment(self, payment_intent_ref: str) -> PaymentSnapshot:
        """The original order's payment, with its payment method."""
        ...

    def create_intent(self, request: IntentRequest, *, idempotency_key: str) -> IntentSnapshot:
        """Create an UNCONFIRMED PaymentIntent. Moves no money."""
        ...

    def confirm_intent(self, ref: str, *, idempotency_key: str, return_url: str) -> IntentSnapshot:
        """Confirm a PaymentIntent on-session. A bank's no is an answer (status and failure_code), not an error.

        *return_url* is where a bank that insists on a redirect sends the shopper; empty when there is no page.
        """
        ...

    def intent(self, ref: str) -> IntentSnapshot:
        """The PaymentIntent as it stands now."""
        ...

    def cancel_intent(self, ref: str, *, idempotency_key: str) -> IntentSnapshot:
        """Cancel a PaymentIntent; when it cannot be cancelled any more, answer how it stands instead."""
        ...

    def intents_of(self, customer_ref: str, *, created_since: int) -> Sequence[IntentSnapshot]:
        """The customer's PaymentIntents created at or after a Unix time, by the strongly consistent list API."""
        ...

    def refund(
        self, payment_intent_ref: str, amount: Money, *, idempotency_key: str, metadata: Mapping[str, str]
    ) -> RefundSnapshot:
        """Give *amount* back. Stripe's own guard refuses more than was charged."""
        ...

    def refunds_of(self, payment_intent_ref: str) -> Sequence[RefundSnapshot]:
        """All refunds of a PaymentIntent, newest first."""
        ...

    def is_disputed(self, payment_intent_ref: str) -> bool:
        """Whether the charge of this PaymentIntent is disputed."""
        ...

    def fee(self, payment_intent_ref: str) -> Fee | None:
        """What Stripe kept of this PaymentIntent's charge; ``None`` without a charge, or when it is not known yet."""
        ...

    def event(self, body: bytes, signature: str) -> GatewayEvent:
        """Verify and parse a webhook against every configured secret.

        Raises:
            SignatureInvalid: For anything that is not a well-formed, freshly and rightly signed v1 event.
        """
        ...

    def doctor(self) -> Mapping[str, Any]:
        """Facts about the account for ``flask encore doctor``: account id, livemode, webhook endpoints."""
        ...
