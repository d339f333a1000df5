"""Decide, once per order and placement, which product is offered at which price, or why none is; and keep the record.

One SELECT, one INSERT, one commit: everything about the order, its candidates' stock and prices is read at once, and
the decision is a single row with a unique constraint, so that a reload, a second tab and a second server see the same.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_encore.domain.acceptance import Eligible, Pick
from flask_encore.domain.assignment import Arm, assign
from flask_encore.domain.charges import Charge
from flask_encore.domain.money import Money
from flask_encore.domain.offers import THANK_YOU, Candidate, Outcome, Reason
from flask_encore.domain.orders import Product
from flask_encore.domain.prices import PriceBlock
from flask_encore.services.runtime import Runtime
from flask_encore.store import decisions
from flask_encore.store.decisions import Page

#: Below this many common orders "often bought together" is not a fact but an anecdote.
WHY_SUPPORT = 5

#: Names the standing holdout. Not a secret and never rotated: a new one would deal every shopper a new arm.
HOLDOUT_SALT = b"encore-holdout-1"

#: Nothing follows an offer yet.
STEP = 0

_FAILURES = {Reason.RANKER_FAILED, Reason.RANKER_TIMEOUT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """An offer and what became of it. *decision* is its row; *charge* is ``None`` while nobody accepted."""

    decision: Mapping[Any, Any]
    charge: Charge | None


def offer_for(rt: Runtime, order_ref: str, *, placement: str = THANK_YOU) -> Offered | None:
    """The offer of a paid order, deciding on the first visit. ``None``: nothing is to be shown.

    Idempotent: later visits answer the first decision; only one that Stripe's silence made is made anew, once Stripe
    was heard. Raises whatever the database raises; the page's caller
    (`web.injection`) turns that into a page without an offer.
    """
    started = time.perf_counter()
    with rt.db.read(hasty=True) as connection:
        page = decisions.page(connection, order_ref, account=rt.account, placement=placement)
    if page is None:
        rt.counts.add("order_unknown")
        return None
    if page.decision is not None and not page.is_provisional:
        return _shown(page)
    row = _decide(rt, page, placement=placement)
    row["latency_us"] = round((time.perf_counter() - started) * 1e6)
    with rt.db.write(hasty=True) as connection:
        won = (
            decisions.insert_decision(connection, row)
            if page.decision is None
            else decisions.replace_provisional(connection, page.decision["id"], row)
        )
    if won:
        rt.counts.add(f"decision_{row['outcome']}")
        return Offered(decision=row, charge=None) if row["outcome"] == Outcome.OFFERED else None
    with rt.db.read(hasty=True) as connection:
        page = decisions.page(connection, order_ref, account=rt.account, placement=placement)
    return None if page is None else _shown(page)


def _shown(page: Page) -> Offered | None:
    if page.decision is None or page.decision["outcome"] != Outcome.OFFERED:
        return None
    return Offered(decision=page.decision, charge=page.charge)


def _decide(rt: Runtime, page: Page, *, placement: str) -> dict[str, Any]:
    now, order = rt.clock(), page.order
    subject = order["customer_ref"] or order["order_ref"]
    arm = assign(subject, salt=HOLDOUT_SALT, holdout_percent=rt.settings.holdout_percent)
    row: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "account": rt.account,
        "order_ref": order["order_ref"],
        "placement": placement,
        "step": STEP,
        "arm": arm,
        "customer_ref": order["customer_ref"],
        "currency": order["currency"],
        "model_version": order["model_version"],
        "decided_at": now,
        "expires_at": now + timedelta(seconds=rt.settings.offer_ttl_seconds),
        "candidates": order["candidates"],
        "snapshot": {},
        "sku": None,
        "quantity": None,
        "total_minor": None,
        "shown_at": None,
        "declined_at": None,
        "sold_out_at": None,
        "propensity": None,
    }
    reason = _ineligible(rt, order, now)
    if reason is not None:
        outcome = Outcome.ERROR if reason in _FAILURES else Outcome.INELIGIBLE
        return row | {"outcome": outcome, "reason": reason}
    chosen, log = _choose(rt, page, placement=placement)
    row["candidates"] = log
    if chosen is None:
        return row | {"outcome": Outcome.INELIGIBLE, "reason": Reason.ALL_FILTERED}
    candidate, product, price, propensity = chosen
    row |= {
        "sku": product.sku,
        "quantity": 1,
        "total_minor": price.total.minor_units,
        "propensity": propensity,
        "snapshot": _snapshot(rt, order, candidate, product, price),
    }
    if arm is Arm.HOLDOUT:
        return row | {"outcome": Outcome.HELD_OUT, "reason": Reason.HOLDOUT}
    return row | {"outcome": Outcome.OFFERED, "reason": Reason.CHOSEN}


def _ineligible(rt: Runtime, order: Mapping[Any, Any], now: datetime) -> Reason | None:
    if order["ineligible_reason"]:
        return Reason(order["ineligible_reason"])
    if now - order["placed_at"] > timedelta(seconds=rt.settings.order_max_age_seconds):
        return Reason.ORDER_TOO_OLD
    if not order["candidates"]:
        return Reason.NO_CANDIDATE if order["model_version"] else Reason.NO_MODEL
    return None


def _choose(
    rt: Runtime, page: Page, *, placement: str
) -> tuple[tuple[Candidate, Product, PriceBlock, float] | None, list[dict[str, Any]]]:
    """One of the candidates that pass every filter, with its propensity; and all candidates with what filtered them."""
    bought = {line["sku"] for line in page.order["lines"]}
    total = Money(page.order["total_minor"], page.order["currency"])
    passed: list[tuple[int, Eligible, Product, PriceBlock]] = []
    log: list[dict[str, Any]] = []
    for place, entry in enumerate(page.order["candidates"]):
        product = page.products.get(entry["sku"])
        refused = _filtered(rt, product, bought=bought, total=total)
        log.append(entry | {"filtered": refused})
        if not refused and product is not None:
            price = price_of(product, discount_percent=rt.settings.discount_percent)
            passed.append((place, _eligible(Candidate(**entry), product, price, total), product, price))
    if not passed:
        return None, log
    offers = [offer for _, offer, _, _ in passed]
    pick = rt.acceptance.pick(
        offers,
        order_ref=page.order["order_ref"],
        placement=placement,
        step=STEP,
        dial=rt.settings.profit_dial,
        explore=rt.settings.explore,
    )
    for i, (place, offer, _, _) in enumerate(passed):
        log[place] |= _weighed(offer, pick, i)
    _, offer, product, price = passed[pick.position]
    return (offer.candidate, product, price, pick.propensities[pick.position]), log


def _eligible(candidate: Candidate, product: Product, price: PriceBlock, total: Money) -> Eligible:
    earned = None if product.cost is None else (price.total - product.cost).minor_units
    return Eligible(
        candidate=candidate,
        price_ratio=price.total.minor_units / total.minor_units,
        discount=price.discount.minor_units / price.item.minor_units,
        category=product.category or "",
        margin_minor=earned,
    )


def _weighed(offer: Eligible, pick: Pick, i: int) -> dict[str, Any]:
    """What the choice saw of an offer: from this, and only this, another choice can be learned and judged later."""
    return {
        "price_ratio": offer.price_ratio,
        "discount": offer.discount,
        "category": offer.category,
        "margin": offer.margin_minor,
        "chance": pick.chances[i] if pick.chances else None,
        "propensity": pick.propensities[i],
    }


def _filtered(rt: Runtime, product: Product | None, *, bought: set[str], total: Money) -> str:
    """Why *product* cannot be offered with this order; empty when it can."""
    if product is None:
        return "not_in_catalogue"
    if product.sku in bought:
        return "in_order"
    if not product.active:
        return "inactive"
    if product.stock is not None and product.stock < 1:
        return "sold_out"
    if product.price.currency != total.currency:
        return "other_currency"
    price = price_of(product, discount_percent=rt.settings.discount_percent).total
    if not price.is_chargeable:
        return "not_chargeable"
    if price.minor_units * 100 > total.minor_units * rt.settings.price_guard_percent:
        return "price_guard"
    return ""


def price_of(product: Product, *, discount_percent: int) -> PriceBlock:
    """What one piece costs as an offer today, tax included."""
    total = product.price.less_percent(discount_percent)
    return PriceBlock(
        item=product.price, discount=product.price - total, shipping=Money(0, total.currency), total=total
    )


def _snapshot(
    rt: Runtime, order: Mapping[Any, Any], candidate: Candidate, product: Product, price: PriceBlock
) -> dict[str, Any]:
    """What the shopper is shown, frozen: the charge copies it, and it is the evidence of what was agreed to."""
    titles = {line["sku"]: line["title"] for line in order["lines"]}
    why = candidate.kind == "co_purchase" and candidate.support >= WHY_SUPPORT
    return {
        "title": product.title,
        "image_url": product.image_url,
        "item": price.item.minor_units,
        "discount": price.discount.minor_units,
        "shipping": price.shipping.minor_units,
        "total": price.total.minor_units,
        "discount_percent": rt.settings.discount_percent,
        "because_of_title": titles.get(candidate.because_of or "") if why else None,
        "support": candidate.support,
        "of_orders": candidate.of_orders,
        "card_brand": order["card_brand"],
        "card_last4": order["card_last4"],
        "locale": order["locale"],
        "consent_version": rt.consent_version,
    }
