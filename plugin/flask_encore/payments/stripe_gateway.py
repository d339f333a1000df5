"""Stripe behind the `Gateway` port: the only module that speaks to the SDK.

Every failure becomes one of three errors: unknown, busy, refused. Only ids and codes are logged.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import stripe

from flask_encore.config import Settings
from flask_encore.domain.errors import (
    ConfigurationError,
    GatewayBusy,
    GatewayError,
    GatewayRefused,
    GatewayUnknown,
    SignatureInvalid,
)
from flask_encore.domain.money import Money
from flask_encore.domain.ports import (
    Clock,
    Fee,
    GatewayEvent,
    IntentRequest,
    IntentSnapshot,
    IntentStatus,
    PaymentSnapshot,
    RefundSnapshot,
)
from flask_encore.payments import stripe_answers as answers

_LOG = logging.getLogger("flask_encore.payments")

#: What is asked and answered, whichever SDK is installed; the release `flask_encore.config.STRIPE_JS` belongs to.
#: It is the one that refuses ``payment_method_types`` and wants ``allowed_payment_method_types`` instead.
API_VERSION = "2026-10-28.endive"
#: Seconds. Just over three, the wait before TCP sends a lost SYN a second time, so one lost packet is survived.
CONNECT_TIMEOUT = 3.05
#: Seconds. A bank's answer takes up to ten; the shopper who waits longer is told "we are checking".
READ_TIMEOUT = 20.0
#: Seconds. A checkout waits for this one; what Stripe does not tell in time is asked again by the sweeper.
CHECKOUT_READ_TIMEOUT = 5.0
#: Seconds a webhook's timestamp may be off, in either direction. Stripe signs anew at every delivery attempt.
WEBHOOK_TOLERANCE = 300
#: The most Stripe puts on one page of a list.
_PAGE = 100

#: The request met a lock, a limit or its own twin, and was not executed.
_BUSY_STATUS = frozenset({409, 429})
_BUSY_CODES = frozenset({"idempotency_key_in_use", "lock_timeout", "rate_limit"})
#: The PaymentIntent moved on before we asked: how it stands now is the answer.
_MOVED_ON = "payment_intent_unexpected_state"

_ENDPOINT_FACTS = ("url", "status", "api_version", "enabled_events")

_TIME = re.compile(r"t=[0-9]{1,12}")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class StripeGateway:
    """Moves money through Stripe. One instance per app; its methods may be called from any thread."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock = _utc_now,
        timeout: tuple[float, float] = (CONNECT_TIMEOUT, READ_TIMEOUT),
    ) -> None:
        """Build the client; nothing is sent.

        Args:
            settings: Key, account, webhook secrets and address of Stripe.
            clock: Judges the age of webhooks.
            timeout: Seconds to connect, and between two bytes of the answer.

        Raises:
            ConfigurationError: If there is no secret key.
        """
        if not settings.stripe_secret_key:
            raise ConfigurationError("ENCORE_STRIPE_SECRET_KEY is missing; set it to a key that starts with sk_test_.")
        self._livemode = settings.livemode
        self._account = settings.stripe_account
        self._webhook_secrets = settings.stripe_webhook_secrets
        self._clock = clock

        def client(read_timeout: float) -> Any:
            return stripe.StripeClient(
                settings.stripe_secret_key,
                stripe_version=API_VERSION,
                base_addresses={"api": settings.stripe_api_base.rstrip("/")},
                # Repeating is a decision of the services: they know which calls may be repeated, and with which key.
                max_network_retries=0,
                http_client=stripe.RequestsClient(timeout=(timeout[0], read_timeout)),
            ).v1

        self._stripe = client(timeout[1])
        self._hasty = client(min(timeout[1], CHECKOUT_READ_TIMEOUT))

    @property
    def livemode(self) -> bool:
        """Whether the key moves real money."""
        return self._livemode

    def payment(self, payment_intent_ref: str) -> PaymentSnapshot:
        """The original order's payment and its payment method. A checkout waits for it, so with less patience."""
        with _asking("payment", payment_intent_ref):
            return answers.payment_snapshot(
                self._hasty.payment_intents.retrieve(
                    payment_intent_ref, {"expand": ["payment_method"]}, self._options()
                )
            )

    def create_intent(self, request: IntentRequest, *, idempotency_key: str) -> IntentSnapshot:
        """Create an UNCONFIRMED PaymentIntent (invariant I2). Moves no money."""
        with _asking("create", idempotency_key):
            return answers.intent_snapshot(
                self._stripe.payment_intents.create(
                    {
                        "amount": request.amount.minor_units,
                        "currency": request.amount.currency,
                        "customer": request.customer_ref,
                        "payment_method": request.payment_method_ref,
                        "allowed_payment_method_types": [request.payment_method_type],
                        "description": request.description,
                        "metadata": dict(request.metadata),
                    },
                    self._options(idempotency_key),
                )
            )

    def confirm_intent(self, ref: str, *, idempotency_key: str, return_url: str) -> IntentSnapshot:
        """Confirm a PaymentIntent. A bank's no is an answer (status and failure_code), not an error.

        The shopper is on the page, so ``off_session`` is never sent (invariant I7); ``use_stripe_sdk`` lets the
        bank's check run inside that page.
        """
        with _asking("confirm", ref):
            try:
                return answers.intent_snapshot(
                    self._stripe.payment_intents.confirm(
                        ref,
                        # The sweeper has no page to come back to; a card's check needs none.
                        {"use_stripe_sdk": True, "return_url": return_url} if return_url else {"use_stripe_sdk": True},
                        self._options(idempotency_key),
                    )
                )
            except stripe.CardError as error:
                failed = _told(error)
            except stripe.InvalidRequestError as error:
                if answers.code(_told(error)) != _MOVED_ON:
                    raise
                failed = {}
            if isinstance(declined := failed.get("payment_intent"), dict):
                return replace(answers.intent_snapshot(declined), failure_code=answers.failure_code(failed))
        now = self.intent(ref)
        if failed and not now.failure_code and now.status is IntentStatus.REQUIRES_PAYMENT_METHOD:
            return replace(now, failure_code=answers.failure_code(failed))
        return now

    def intent(self, ref: str) -> IntentSnapshot:
        """The PaymentIntent as it stands now."""
        with _asking("intent", ref):
            return answers.intent_snapshot(self._stripe.payment_intents.retrieve(ref, {}, self._options()))

    def cancel_intent(self, ref: str, *, idempotency_key: str) -> IntentSnapshot:
        """Cancel a PaymentIntent; when it cannot be cancelled any more, answer how it stands instead."""
        with _asking("cancel", ref):
            try:
                return answers.intent_snapshot(
                    self._stripe.payment_intents.cancel(ref, {}, self._options(idempotency_key))
                )
            except stripe.InvalidRequestError as error:
                if answers.code(_told(error)) != _MOVED_ON:
                    raise
        return self.intent(ref)

    def intents_of(self, customer_ref: str, *, created_since: int) -> Sequence[IntentSnapshot]:
        """The customer's PaymentIntents created at or after a Unix time, newest first; further pages are followed."""
        with _asking("intents of", customer_ref):
            page = self._stripe.payment_intents.list(
                {"customer": customer_ref, "created": {"gte": created_since}, "limit": _PAGE}, self._options()
            )
            return tuple(answers.intent_snapshot(item) for item in page.auto_paging_iter())

    def refund(
        self, payment_intent_ref: str, amount: Money, *, idempotency_key: str, metadata: Mapping[str, str]
    ) -> RefundSnapshot:
        """Give *amount* back. Stripe's own guard refuses more than was charged."""
        with _asking("refund", payment_intent_ref):
            return answers.refund_snapshot(
                self._stripe.refunds.create(
                    {
                        "payment_intent": payment_intent_ref,
                        "amount": amount.minor_units,
                        "reason": "requested_by_customer",
                        "metadata": dict(metadata),
                    },
                    self._options(idempotency_key),
                )
            )

    def refunds_of(self, payment_intent_ref: str) -> Sequence[RefundSnapshot]:
        """All refunds of a PaymentIntent, newest first; further pages are followed."""
        with _asking("refunds of", payment_intent_ref):
            page = self._stripe.refunds.list({"payment_intent": payment_intent_ref, "limit": _PAGE}, self._options())
            return tuple(answers.refund_snapshot(item) for item in page.auto_paging_iter())

    def is_disputed(self, payment_intent_ref: str) -> bool:
        """Whether the charge of this PaymentIntent is, or once was, disputed; False when nothing was charged."""
        with _asking("dispute of", payment_intent_ref):
            charge = answers.plain(
                self._stripe.payment_intents.retrieve(
                    payment_intent_ref, {"expand": ["latest_charge"]}, self._options()
                )
            )["latest_charge"]
            return charge is not None and bool(charge["disputed"])

    def fee(self, payment_intent_ref: str) -> Fee | None:
        """What Stripe kept of the charge, in the currency it settles in; ``None`` while Stripe does not tell."""
        with _asking("fee of", payment_intent_ref):
            return answers.fee(
                self._stripe.payment_intents.retrieve(
                    payment_intent_ref, {"expand": ["latest_charge.balance_transaction"]}, self._options()
                )
            )

    def event(self, body: bytes, signature: str) -> GatewayEvent:
        """Verify and parse a webhook against every configured secret.

        Raises:
            SignatureInvalid: For anything that is not a well-formed, freshly and rightly signed v1 event. Strangers
                reach this method, so whatever their bytes provoke ends here.
        """
        try:
            text = body.decode("utf-8")
            _check_age(signature, now=self._clock().timestamp())
            if not any(_signed_by(secret, text, signature) for secret in self._webhook_secrets):
                raise SignatureInvalid("The webhook is not signed by any of ENCORE_STRIPE_WEBHOOK_SECRETS.")
            return answers.gateway_event(json.loads(text))
        except SignatureInvalid:
            raise
        except Exception as error:
            # Not chained: such an error holds the stranger's bytes, and they belong in no log.
            raise SignatureInvalid(f"The webhook cannot be read ({type(error).__name__}).") from None

    def doctor(self) -> Mapping[str, Any]:
        """Facts for ``flask encore doctor``, in two calls.

        ``account`` and ``charges_enabled`` are of the account paid to; ``webhook_endpoints`` is a list of the ``url``,
        ``status``, ``api_version`` and ``enabled_events`` of the endpoints of the key's own account, at most 100.
        What a restricted key may not see is ``None``.
        """
        account: dict[str, Any] = {}
        endpoints: list[dict[str, Any]] | None = None
        with _asking("account", self._account), suppress(stripe.PermissionError):
            account = answers.plain(self._stripe.accounts.retrieve_current({}, self._options()))
        with _asking("webhook endpoints", ""), suppress(stripe.PermissionError):
            found = answers.plain(self._stripe.webhook_endpoints.list({"limit": _PAGE}))["data"]
            endpoints = [{key: item.get(key) for key in _ENDPOINT_FACTS} for item in found]
        return {
            "account": account.get("id"),
            "charges_enabled": account.get("charges_enabled"),
            "livemode": self._livemode,
            "webhook_endpoints": endpoints,
        }

    def _options(self, idempotency_key: str = "") -> stripe.RequestOptions:
        options: stripe.RequestOptions = {}
        if self._account:
            options["stripe_account"] = self._account
        if idempotency_key:
            options["idempotency_key"] = idempotency_key
        return options


@contextmanager
def _asking(verb: str, subject: str) -> Iterator[None]:
    """Tell every failure of one call as one of the port's three errors."""
    doing = f"{verb} {subject}".rstrip()
    try:
        yield
    except stripe.StripeError as error:
        told = _told(error)
        _LOG.warning(
            "stripe %s: %s (http %s, code %s, %s)",
            doing,
            type(error).__name__,
            error.http_status,
            answers.code(told),
            error.request_id,
        )
        # Not chained: the SDK quotes an unreadable answer whole, and a client_secret may stand in it.
        raise _translated(doing, error.http_status, told) from None
    except Exception as error:
        _LOG.error("stripe %s: the answer cannot be read (%s)", doing, type(error).__name__)
        raise GatewayUnknown(f"Stripe's answer to '{doing}' cannot be read.") from error


def _translated(doing: str, http_status: int | None, told: Mapping[str, Any]) -> GatewayError:
    """The port's word for an error of Stripe's. *told* is the error Stripe wrote, empty when it wrote none."""
    code = answers.code(told)
    if not told or http_status is None:
        return GatewayUnknown(f"Stripe did not answer '{doing}'.")
    if http_status in _BUSY_STATUS or code in _BUSY_CODES:
        return GatewayBusy(f"Stripe was too busy for '{doing}' ({code}).")
    if http_status >= 500 or told.get("type") == "idempotency_error":
        return GatewayUnknown(f"Stripe stored a failure for '{doing}' ({code}).", answer_stored=True)
    return GatewayRefused(f"Stripe refused '{doing}' ({code}).", code=code)


def _told(error: stripe.StripeError) -> dict[str, Any]:
    """The error object in Stripe's answer; empty when there was no answer, or a stranger's (a proxy's page)."""
    told = error.json_body.get("error") if isinstance(error.json_body, dict) else None
    return told if isinstance(told, dict) else {}


def _check_age(signature: str, *, now: float) -> None:
    """Refuse a header that is too old, too far ahead (the SDK lets those pass), or does not name exactly one time.

    Exactly one, because the SDK signs with the first: a replayed header with a fresh time added would pass both.
    """
    times = [part for part in signature.split(",") if part.partition("=")[0].strip() == "t"]
    if len(times) != 1 or not _TIME.fullmatch(times[0]):
        raise SignatureInvalid("The webhook's signature header does not name its time.")
    if abs(now - int(times[0][2:])) > WEBHOOK_TOLERANCE:
        raise SignatureInvalid(f"The webhook was signed more than {WEBHOOK_TOLERANCE} seconds away from now.")


def _signed_by(secret: str, text: str, signature: str) -> bool:
    try:
        return bool(stripe.WebhookSignature.verify_header(text, signature, secret))
    except stripe.SignatureVerificationError:
        return False
