"""The contract between Stripe and its simulator: the same tests, met by both.

Against Stripe's test mode they run when ``STRIPE_SECRET_KEY`` holds an ``sk_test_`` key. Without one that
half is skipped and says so; where nothing may be skipped (``ENCORE_SKIP_NOTHING=1``) it is not collected.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import stripe

from flask_encore.testing import StripeSimulator

_KEY = os.environ.get("STRIPE_SECRET_KEY", "")


def _worlds() -> list[Any]:
    live = pytest.mark.stripe_live
    if _KEY.startswith("sk_test_"):
        return ["simulator", pytest.param("stripe", marks=live)]
    if os.environ.get("ENCORE_SKIP_NOTHING") == "1":
        return ["simulator"]
    why = pytest.mark.skip(reason="set STRIPE_SECRET_KEY=sk_test_… to run the contract against Stripe itself")
    return ["simulator", pytest.param("stripe", marks=[live, why])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A Stripe account in test mode, simulated or real."""

    v1: Any

    def customer(self) -> str:
        """A new customer's id."""
        return str(self.v1.customers.create({"description": "Encore contract test"}).id)

    def kept(self, alias: str) -> dict[str, Any]:
        """Parameters of a charge over 12.90 GBP on a card a customer keeps."""
        owner = self.customer()
        method = self.v1.payment_methods.attach(alias, {"customer": owner})
        return {**PRICE, "customer": owner, "payment_method": method.id}

    def intent(self, alias: str = "pm_card_visa", **more: Any) -> Any:
        """An unconfirmed intent on a kept card."""
        return self.v1.payment_intents.create({**self.kept(alias), **more})


PRICE = {"amount": 1290, "currency": "gbp", "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}


def fresh_key() -> dict[str, str]:
    """An Idempotency-Key nobody used before."""
    return {"idempotency_key": f"encore-contract-{uuid.uuid4()}"}


@pytest.fixture(params=_worlds())
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    if request.param == "stripe":
        http = stripe.RequestsClient(timeout=(5, 60))
        yield Account(v1=stripe.StripeClient(_KEY, max_network_retries=2, http_client=http).v1)
        return
    with StripeSimulator() as sim:
        yield Account(v1=stripe.StripeClient(sim.secret_key, base_addresses={"api": sim.url}).v1)


class TestAChargeInTwoSteps:
    def test_an_unconfirmed_intent_moves_no_money(self, account: Account) -> None:
        intent = account.intent(metadata={"order": "1042"})

        assert intent.id.startswith("pi_")
        assert (intent.object, intent.status, intent.livemode) == (
            "payment_intent",
            "requires_confirmation",
            False,
        )
        assert (intent.amount, intent.amount_received, intent.latest_charge) == (1290, 0, None)
        assert intent.client_secret.startswith(f"{intent.id}_secret_")
        assert intent.metadata["order"] == "1042"

    def test_confirming_charges_the_kept_card(self, account: Account) -> None:
        intent = account.intent()

        paid = account.v1.payment_intents.confirm(intent.id, {"expand": ["latest_charge", "payment_method"]})

        assert (paid.status, paid.amount_received) == ("succeeded", 1290)
        assert (paid.latest_charge.paid, paid.latest_charge.captured) == (True, True)
        assert paid.latest_charge.payment_intent == intent.id
        assert (paid.payment_method.type, paid.payment_method.card.last4) == ("card", "4242")
        assert paid.last_payment_error is None

    def test_confirming_a_second_time_is_refused_with_the_intent_inside(self, account: Account) -> None:
        intent = account.intent()
        account.v1.payment_intents.confirm(intent.id)

        with pytest.raises(stripe.InvalidRequestError) as refusal:
            account.v1.payment_intents.confirm(intent.id)

        assert (refusal.value.http_status, refusal.value.code) == (400, "payment_intent_unexpected_state")
        assert refusal.value.error.payment_intent.status == "succeeded"

    def test_a_canceled_intent_stays_canceled(self, account: Account) -> None:
        intent = account.intent()
        canceled = account.v1.payment_intents.cancel(intent.id, {"cancellation_reason": "abandoned"})
        assert (canceled.status, canceled.cancellation_reason) == ("canceled", "abandoned")

        for verb in ("confirm", "cancel"):
            with pytest.raises(stripe.InvalidRequestError) as refusal:
                getattr(account.v1.payment_intents, verb)(intent.id)
            assert refusal.value.code == "payment_intent_unexpected_state"

    def test_a_succeeded_intent_cannot_be_canceled(self, account: Account) -> None:
        intent = account.intent()
        account.v1.payment_intents.confirm(intent.id)

        with pytest.raises(stripe.InvalidRequestError) as refusal:
            account.v1.payment_intents.cancel(intent.id)

        assert refusal.value.code == "payment_intent_unexpected_state"

    def test_paying_with_future_usage_keeps_the_card(self, account: Account) -> None:
        owner = account.customer()
        params = {**PRICE, "customer": owner, "payment_method": "pm_card_visa", "confirm": True}

        paid = account.v1.payment_intents.create({**params, "setup_future_usage": "off_session"})

        assert paid.status == "succeeded"
        assert account.v1.payment_methods.retrieve(paid.payment_method).customer == owner

    def test_the_list_of_a_customer_knows_an_intent_at_once(self, account: Account) -> None:
        before = int(time.time()) - 60
        intent = account.intent()

        found = account.v1.payment_intents.list({"customer": intent.customer, "created": {"gte": before}})

        assert [each.id for each in found.data] == [intent.id]
        assert found.has_more is False


class TestTheBanksNo:
    @pytest.mark.parametrize(
        ("alias", "code", "decline_code"),
        [
            ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
            ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
            ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
            ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
            ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
        ],
    )
    def test_a_decline_is_402_with_its_reason_and_the_intent_inside(
        self, account: Account, alias: str, code: str, decline_code: str
    ) -> None:
        intent = account.v1.payment_intents.create({**PRICE, "payment_method": alias})

        with pytest.raises(stripe.CardError) as refusal:
            account.v1.payment_intents.confirm(intent.id)

        assert (refusal.value.http_status, refusal.value.code) == (402, code)
        # Stripe repeats some codes as their own decline code and leaves others out.
        assert getattr(refusal.value.error, "decline_code", None) in (decline_code, None)
        declined = refusal.value.error.payment_intent
        assert (declined.id, declined.status) == (intent.id, "requires_payment_method")
        assert declined.last_payment_error.code == code

    def test_a_kept_card_can_fail_later_and_another_card_pays_the_same_intent(self, account: Account) -> None:
        intent = account.intent("pm_card_chargeCustomerFail")
        with pytest.raises(stripe.CardError):
            account.v1.payment_intents.confirm(intent.id)

        paid = account.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_mastercard"})

        assert (paid.id, paid.status, paid.amount_received) == (intent.id, "succeeded", 1290)

    def test_a_card_of_another_customer_is_refused(self, account: Account) -> None:
        params = account.kept("pm_card_visa")

        with pytest.raises(stripe.InvalidRequestError) as refusal:
            account.v1.payment_intents.create({**params, "customer": account.customer(), "confirm": True})

        assert refusal.value.http_status == 400


class TestTheBanksQuestion:
    def test_on_session_it_is_an_action_for_the_browser(self, account: Account) -> None:
        intent = account.intent("pm_card_authenticationRequired")

        asked = account.v1.payment_intents.confirm(intent.id, {"use_stripe_sdk": True})

        assert asked.status == "requires_action"
        assert asked.next_action.type == "use_stripe_sdk"
        assert asked.amount_received == 0

    def test_off_session_it_is_a_decline(self, account: Account) -> None:
        intent = account.intent("pm_card_authenticationRequired")

        with pytest.raises(stripe.CardError) as refusal:
            account.v1.payment_intents.confirm(intent.id, {"off_session": True})

        assert refusal.value.code == "authentication_required"
        assert refusal.value.error.payment_intent.status == "requires_payment_method"

    def test_an_unanswered_question_can_be_canceled(self, account: Account) -> None:
        intent = account.intent("pm_card_authenticationRequired")
        account.v1.payment_intents.confirm(intent.id, {"use_stripe_sdk": True})

        assert account.v1.payment_intents.cancel(intent.id).status == "canceled"


class TestIdempotencyKeys:
    def test_the_same_request_twice_is_one_intent(self, account: Account) -> None:
        key = fresh_key()

        first = account.v1.payment_intents.create(PRICE, key)
        again = account.v1.payment_intents.create(PRICE, key)

        assert first.id == again.id
        assert again.last_response.headers["Idempotent-Replayed"] == "true"

    def test_other_parameters_are_refused(self, account: Account) -> None:
        key = fresh_key()
        account.v1.payment_intents.create(PRICE, key)

        with pytest.raises(stripe.IdempotencyError) as refusal:
            account.v1.payment_intents.create({**PRICE, "amount": 1300}, key)

        assert refusal.value.http_status == 400

    def test_a_decline_is_replayed(self, account: Account) -> None:
        intent = account.intent("pm_card_chargeCustomerFail")
        key = fresh_key()

        charges = []
        for _ in range(2):
            with pytest.raises(stripe.CardError) as refusal:
                account.v1.payment_intents.confirm(intent.id, {}, key)
            charges.append(refusal.value.error.charge)

        assert charges[0] == charges[1]
        assert refusal.value.headers["Idempotent-Replayed"] == "true"


class TestRefunds:
    def test_a_full_refund_and_no_second_one(self, account: Account) -> None:
        intent = account.intent()
        account.v1.payment_intents.confirm(intent.id)

        refund = account.v1.refunds.create(
            {"payment_intent": intent.id, "reason": "requested_by_customer", "metadata": {"undo": "1"}}
        )
        assert refund.id.startswith("re_")
        assert (refund.amount, refund.status, refund.payment_intent) == (1290, "succeeded", intent.id)

        with pytest.raises(stripe.InvalidRequestError) as refusal:
            account.v1.refunds.create({"payment_intent": intent.id})
        assert refusal.value.code == "charge_already_refunded"
        assert [each.id for each in account.v1.refunds.list({"payment_intent": intent.id}).data] == [refund.id]

    def test_more_than_is_left_is_refused(self, account: Account) -> None:
        intent = account.intent()
        account.v1.payment_intents.confirm(intent.id)
        account.v1.refunds.create({"payment_intent": intent.id, "amount": 290})

        with pytest.raises(stripe.InvalidRequestError) as refusal:
            account.v1.refunds.create({"payment_intent": intent.id, "amount": 1001})

        assert refusal.value.http_status == 400
        assert len(account.v1.refunds.list({"payment_intent": intent.id}).data) == 1


class TestFees:
    def test_the_line_of_the_balance_tells_the_fee_in_the_accounts_currency(self, account: Account) -> None:
        intent = account.intent()
        account.v1.payment_intents.confirm(intent.id)

        found = account.v1.payment_intents.retrieve(intent.id, {"expand": ["latest_charge.balance_transaction"]})

        line = found.latest_charge.balance_transaction
        if line is None:
            pytest.skip("Stripe writes the balance a while after a charge that is captured asynchronously")
        assert line.object == "balance_transaction"
        assert line.source == found.latest_charge.id
        assert 0 < line.fee < line.amount
        assert line.net == line.amount - line.fee
        assert len(line.currency) == 3
        assert {part.currency for part in line.fee_details} == {line.currency}
        assert sum(part.amount for part in line.fee_details) == line.fee

    def test_a_refund_gives_no_fee_back(self, account: Account) -> None:
        intent = account.intent()
        account.v1.payment_intents.confirm(intent.id)
        refund = account.v1.refunds.create({"payment_intent": intent.id, "expand": ["balance_transaction"]})

        assert refund.balance_transaction is None or refund.balance_transaction.fee == 0

    def test_what_was_not_charged_has_no_line(self, account: Account) -> None:
        intent = account.intent()

        found = account.v1.payment_intents.retrieve(intent.id, {"expand": ["latest_charge.balance_transaction"]})

        assert found.latest_charge is None


class TestInput:
    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"amount": 1}, "amount_too_small"),
            ({"colour": "red"}, "parameter_unknown"),
            ({"amount": "twelve"}, "parameter_invalid_integer"),
            ({"payment_method": "pm_does_not_exist"}, "resource_missing"),
            ({"customer": "cus_does_not_exist"}, "resource_missing"),
        ],
    )
    def test_bad_input_is_400_with_its_code(self, account: Account, change: dict[str, Any], code: str) -> None:
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            account.v1.payment_intents.create({**PRICE, **change})

        assert (refusal.value.http_status, refusal.value.code) == (400, code)

    def test_an_unknown_intent_is_404(self, account: Account) -> None:
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            account.v1.payment_intents.retrieve("pi_does_not_exist")

        assert (refusal.value.http_status, refusal.value.code) == (404, "resource_missing")

    def test_payment_method_types_are_no_longer_a_parameter(self, account: Account) -> None:
        params = {"amount": 1290, "currency": "gbp", "payment_method_types": ["card"]}

        with pytest.raises(stripe.InvalidRequestError) as refusal:
            account.v1.payment_intents.create(params, {"stripe_version": "2026-10-28.endive"})

        assert refusal.value.code == "payment_method_types_no_longer_supported"


class TestSetupIntents:
    def test_a_card_set_up_for_later_pays_without_a_question(self, account: Account) -> None:
        owner = account.customer()
        automatic = PRICE["automatic_payment_methods"]
        setup = account.v1.setup_intents.create(
            {
                "customer": owner,
                "payment_method": "pm_card_visa",
                "confirm": True,
                "automatic_payment_methods": automatic,
            }
        )
        assert (setup.status, setup.usage) == ("succeeded", "off_session")

        params = {**PRICE, "customer": owner, "payment_method": setup.payment_method, "confirm": True}
        assert account.v1.payment_intents.create(params).status == "succeeded"

    def test_a_card_whose_bank_asks_is_an_action(self, account: Account) -> None:
        setup = account.v1.setup_intents.create(
            {
                "customer": account.customer(),
                "payment_method": "pm_card_authenticationRequired",
                "confirm": True,
                "use_stripe_sdk": True,
                "automatic_payment_methods": PRICE["automatic_payment_methods"],
            }
        )

        assert setup.status == "requires_action"


class TestCheckout:
    def test_a_session_opens_with_a_page_and_its_lines(self, account: Account) -> None:
        line = {"price_data": {"currency": "gbp", "unit_amount": 255, "product_data": {"name": "Mug"}}, "quantity": 6}
        session = account.v1.checkout.sessions.create(
            {
                "mode": "payment",
                "success_url": "https://shop.example/thanks?s={CHECKOUT_SESSION_ID}",
                "customer_creation": "always",
                "payment_intent_data": {"setup_future_usage": "off_session"},
                "line_items": [line],
            }
        )
        assert (session.status, session.payment_status, session.amount_total) == ("open", "unpaid", 1530)
        assert session.url.startswith("http")

        again = account.v1.checkout.sessions.retrieve(session.id, {"expand": ["line_items"]})
        assert (again.line_items.data[0].quantity, again.line_items.data[0].amount_total) == (6, 1530)
        assert account.v1.checkout.sessions.expire(session.id).status == "expired"
