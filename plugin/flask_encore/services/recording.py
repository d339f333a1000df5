"""A paid order comes in: ask Stripe about its payment, rank what goes with it, write it down once.

Stripe is asked and the recommender runs before the transaction, and neither can make the caller's checkout fail: what
they could not tell is a reason in the row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from itertools import islice
from typing import Any

from flask_encore.domain.book import Book, built_in
from flask_encore.domain.errors import GatewayError, GatewayRefused, OrderConflict
from flask_encore.domain.kinds import skus_of
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Candidate, Reason
from flask_encore.domain.orders import PaidOrder, checked_ref
from flask_encore.domain.ports import IntentStatus, Versioned
from flask_encore.domain.rules import Key
from flask_encore.services import campaign_book, fact_finding, model_trials
from flask_encore.services.lanes import OverBudget
from flask_encore.services.runtime import Runtime, logger
from flask_encore.store import history, orders, shelf
from flask_encore.store.orders import Payment

#: More than any filter will throw away on a normal day, and still one page of the decision log.
CANDIDATES = 20

#: How long the sweeper goes on asking about a payment Stripe could not be asked about: a shopper who comes back to
#: the page later than this finds the offer's time over anyway.
VERIFY_FOR = timedelta(days=1)

#: Silences in a row after which Stripe is taken to be away: a sweep must not wait twenty seconds for each order.
SILENCES = 3


#: Campaigns that may apply whose products are read along with the page, best first, and so many of their products.
FORESEEN, MOST_FORESEEN = 10, 60

#: What the column holds.
MAX_VERSION = 80

#: Stripe's code for an id it does not have.
UNKNOWN_PAYMENT = "resource_missing"


class Recorded(StrEnum):
    """What became of an order handed to Encore."""

    NEW = "new"  #: written down
    DUPLICATE = "duplicate"  #: known with the same content; nothing changed
    NOT_RECORDED = "not_recorded"  #: our database did not take it; hand it in again, the checkout goes on


def record(rt: Runtime, order: PaidOrder) -> Recorded:
    """Write *order* down. Idempotent on order_ref.

    Raises:
        OrderConflict: If the order_ref, or the payment, is known with different content. Nothing changed.
    """
    try:
        with rt.db.read() as connection:
            if _is_known(orders.known(connection, order, account=rt.account), order):
                return Recorded.DUPLICATE
            past = history.bought_before(connection, order.customer_ref, account=rt.account, but=order.order_ref)
        payment = verify(rt, order.payment_intent_ref, order.total)
        book = _book(rt)
        exposure, version = model_trials.dealt(book, order)
        ranked = _rank(rt, order, past, version=version)
        candidates, model_version, reason = ranked.candidates, ranked.model_version, ranked.reason
        facts, wanted = _foresee(rt, order, candidates, book)
        if reason is not None:
            facts["ranking"] = reason
        if exposure is not None:
            facts |= model_trials.remembered(exposure if ranked.is_as_dealt else model_trials.not_ranked_so(exposure))
        with rt.db.write() as connection:
            if orders.insert_order(
                connection,
                order,
                account=rt.account,
                payment=payment,
                candidates=candidates,
                wanted=wanted,
                facts=facts,
                model_version=model_version,
                now=rt.clock(),
            ):
                history.add(connection, _history(order))
                return Recorded.NEW
        with rt.db.read() as connection:
            _is_known(orders.known(connection, order, account=rt.account), order)
        return Recorded.DUPLICATE
    except OrderConflict:
        raise
    except Exception:
        # Mostly the database is away. Whatever it is, the order is paid, and its checkout must not fail for our sake.
        rt.counts.add("order_not_recorded")
        logger.exception("order %s could not be recorded", order.order_ref)
        return Recorded.NOT_RECORDED


def verify(rt: Runtime, payment_intent_ref: str, total: Money) -> Payment:
    """Ask Stripe who paid and with what; the caller's word is never taken for it. Never raises."""
    if rt.gateway is None:
        return Payment(ineligible_reason=Reason.PAYMENT_UNVERIFIED)
    try:
        told = rt.gateway.payment(payment_intent_ref)
    except Exception as error:
        if isinstance(error, GatewayRefused) and error.code == UNKNOWN_PAYMENT:
            logger.warning("payment %s is not known to Stripe", payment_intent_ref)
            return Payment(ineligible_reason=Reason.PAYMENT_NOT_SUCCEEDED)
        # Stripe is away, our key is wrong, or the answer is of a kind we cannot read: each may be over tomorrow.
        rt.counts.add(Reason.PAYMENT_UNVERIFIED)
        known = isinstance(error, GatewayError)
        logger.warning("payment %s could not be verified now", payment_intent_ref, exc_info=None if known else error)
        return Payment(ineligible_reason=Reason.PAYMENT_UNVERIFIED)
    reason = ""
    if told.livemode != rt.gateway.livemode:
        reason = Reason.PAYMENT_MODE_MISMATCH
    elif told.status is not IntentStatus.SUCCEEDED:
        reason = Reason.PAYMENT_NOT_SUCCEEDED
    elif told.amount.currency != total.currency:
        reason = Reason.PAYMENT_CURRENCY_MISMATCH
    elif told.amount != total:
        reason = Reason.PAYMENT_AMOUNT_MISMATCH
    elif told.customer_ref is None:
        reason = Reason.NO_CUSTOMER
    elif told.payment_method_type not in rt.settings.payment_method_types:
        reason = Reason.PAYMENT_METHOD_NOT_REUSABLE
    elif told.payment_method_ref is None or not told.attached:
        reason = Reason.PAYMENT_METHOD_NOT_SAVED
    return Payment(
        ineligible_reason=reason,
        customer_ref=told.customer_ref,
        method_ref=told.payment_method_ref,
        method_type=told.payment_method_type,
        card_brand=told.card_brand,
        card_last4=told.card_last4,
    )


def verify_later(rt: Runtime) -> int:
    """Ask again about payments Stripe could not be asked about; answers how many are known now."""
    if rt.gateway is None:
        return 0
    was = Reason.PAYMENT_UNVERIFIED
    with rt.db.read() as connection:
        waiting = orders.unverified(connection, account=rt.account, reason=was, since=rt.clock() - VERIFY_FOR)
    known = silences = 0
    for order_ref, payment_intent_ref, total_minor, currency in waiting:
        payment = verify(rt, payment_intent_ref, Money(total_minor, currency))
        if payment.ineligible_reason != was:
            with rt.db.write() as connection:
                orders.set_payment(connection, order_ref, account=rt.account, was=was, payment=payment)
            known, silences = known + 1, 0
        elif (silences := silences + 1) == SILENCES:
            break
    return known


def _is_known(rows: Sequence[tuple[str, str]], order: PaidOrder) -> bool:
    for fingerprint, order_ref in rows:
        if order_ref != order.order_ref:
            raise OrderConflict(
                f"payment {order.payment_intent_ref} already paid order {order_ref}; "
                f"order {order.order_ref} needs a payment of its own."
            )
        if fingerprint != order.fingerprint:
            raise OrderConflict(
                f"order {order.order_ref} is recorded with different content; a paid order never changes. "
                "Use a new order_ref for a new order."
            )
        return True
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ranked:
    """What the recommender said of an order.

    Attributes:
        model_version: Of the model that ranked; empty when none did.
        reason: Why there are no candidates although there should be.
        is_as_dealt: False when another model should have ranked, and could not.
    """

    candidates: Sequence[Candidate] = ()
    model_version: str = ""
    reason: Reason | None = None
    is_as_dealt: bool = True


def _rank(rt: Runtime, order: PaidOrder, past: Sequence[str], *, version: str | None = None) -> _Ranked:
    """Candidates for *order*, by the saved model *version*, else by the live one. Never raises.

    A version that has gone, fails, or is not open yet leaves the order to the live model, within the same time.
    """

    def named() -> _Ranked:
        if not isinstance(rt.ranker, Versioned):
            raise TypeError("the shop's own ranker has no versions to choose from")
        found = rt.ranker.ranked_by(version or "", order.skus, k=CANDIDATES, history=past)
        return _Ranked(candidates=_all_checked(found), model_version=str(version)[:MAX_VERSION])

    def live() -> _Ranked:
        told = str(rt.ranker.version)[:MAX_VERSION]
        found = rt.ranker.rank(order.skus, k=CANDIDATES, history=past)
        return _Ranked(candidates=_all_checked(found), model_version=told)

    seconds = rt.budget_seconds
    if version is not None:
        seconds /= 2
        try:
            return rt.ranking.run(named, seconds=seconds)
        except Exception as error:
            rt.counts.add("model_variant_not_ranked")
            logger.warning("model %s did not rank order %s, the live one does (%r)", version, order.order_ref, error)
    try:
        return replace(rt.ranking.run(live, seconds=seconds), is_as_dealt=version is None)
    except OverBudget:
        reason = Reason.RANKER_TIMEOUT
        logger.warning("ranking order %s took over %d ms", order.order_ref, rt.settings.decision_budget_ms)
    except Exception:
        reason = Reason.RANKER_FAILED
        logger.exception("ranking order %s failed", order.order_ref)
    rt.counts.add(reason)
    return _Ranked(reason=reason, is_as_dealt=version is None)


def _book(rt: Runtime) -> Book:
    """The campaigns and experiments, or those this process read last: the order is paid and has to be written down."""
    try:
        return campaign_book.at_hand(rt)
    except Exception:
        rt.counts.add("campaigns_not_at_hand")
        logger.exception("the campaigns could not be read")
        return rt.book.latest


def _foresee(
    rt: Runtime, order: PaidOrder, candidates: Sequence[Candidate], book: Book
) -> tuple[dict[str, Any], list[str]]:
    """What rules may ask about the shopper, and which products deciding may need: the page then reads all at once.

    What is not foreseen is looked up then; so a campaign saved in between costs a page one statement more.
    """
    named = list(dict.fromkeys([*(candidate.sku for candidate in candidates), *order.skus]))
    try:
        return _foreseen(rt, order, named, book)
    except Exception:
        # The order is paid and has to be written down; a decision can do with less.
        rt.counts.add("order_not_foreseen")
        logger.exception("what deciding about order %s may need was not found", order.order_ref)
        return {}, named


def _foreseen(rt: Runtime, order: PaidOrder, named: Sequence[str], book: Book) -> tuple[dict[str, Any], list[str]]:
    with rt.db.read() as connection:
        facts = fact_finding.gather(rt, connection, order, book)
        known = shelf.sorted_by(connection, named)
    parents = [parent for sku in named if (parent := known.get(sku, (None, None))[1])]
    keys = {Key("sku", sku) for sku in order.skus}
    for sku in order.skus:
        category, parent = known.get(sku, (None, None))
        keys |= {Key("category", category)} if category else set()
        keys |= {Key("variant_of", parent)} if parent else set()
    subject = order.customer_ref or order.order_ref
    could = [*book.of_keys(keys)[:FORESEEN], built_in(discount_percent=rt.settings.discount_percent)]
    asked = [sku for one in could for sku in skus_of(book.dealt(one, subject).campaign.offer)]
    return facts, list(dict.fromkeys([*named, *parents, *asked[:MOST_FORESEEN]]))


def _all_checked(found: Iterable[object]) -> list[Candidate]:
    return [_checked(candidate) for candidate in islice(found, CANDIDATES)]


def _checked(candidate: object) -> Candidate:
    """*candidate*, when a row can hold it and a page can use it: a ranker of the shop's own may answer anything."""
    if not isinstance(candidate, Candidate) or not isinstance(candidate.kind, str):
        raise TypeError(f"a ranker answers Candidate values, got {candidate!r}")
    checked_ref("sku of a candidate", candidate.sku)
    if not isinstance(candidate.score, float | int) or type(candidate.support) is not int:
        raise TypeError(f"score or support of {candidate.sku} is not a number")
    for name in ("probability", "kept_rate"):
        share = getattr(candidate, name)
        if share is not None and not (isinstance(share, float | int) and 0.0 <= share <= 1.0):
            raise TypeError(f"{name} of {candidate.sku} is neither None nor a number from 0 to 1")
    json.dumps(candidate.as_json(), allow_nan=False)
    return candidate


def _history(order: PaidOrder) -> list[tuple[object, ...]]:
    merged: dict[str, list[int]] = {}
    for line in order.lines:
        known = merged.setdefault(line.sku, [0, line.unit_price.minor_units])
        known[0] += line.quantity
    placed_at = order.placed_at.timestamp()
    return [
        (order.order_ref, sku, placed_at, order.customer_ref, quantity, price, order.currency)
        for sku, (quantity, price) in merged.items()
    ]
