"""One order at the moment of a decision, and what is known of it; most is looked up when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from flask_encore.domain.book import Book
from flask_encore.domain.campaigns import BUILT_IN
from flask_encore.domain.facts import RuleFacts
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Candidate, Placement
from flask_encore.domain.orders import lines_from_json
from flask_encore.domain.pricing import Basket, Shelf
from flask_encore.services.fact_finding import facts_of
from flask_encore.services.runtime import Runtime
from flask_encore.store import budgets, shelf, shoppers
from flask_encore.store.decisions import Page
from flask_encore.store.shoppers import Had


@dataclass(frozen=True, kw_only=True)
class Situation:
    """One order at the moment of a decision. What most decisions do not need is looked up when it is first asked for.

    Attributes:
        page: What the decision is for: the thank-you page or the order page.
        step: In the sequence, from 0.
        takes_part: Whether experiments are dealt to it; they are not to who is in the standing holdout.
    """

    rt: Runtime
    read: Page
    book: Book
    page: Placement
    step: int
    now: datetime
    takes_part: bool = False
    _products: dict[str, Any] = field(default_factory=dict)
    _looked_up: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._products.update({product.sku: product for product in self.read.products})
        if self.read.products or self.step == 0:
            self._looked_up.update(self.read.looked_up)

    def shelf(self, refs: Iterable[str]) -> Shelf:
        """The products at hand, those of *refs* and their variants among them."""
        wanted = set(refs) - self._looked_up
        if wanted:
            with self.rt.db.read(hasty=True) as connection:
                found = shelf.fetched(connection, wanted)
            self._products.update({product.sku: product for product in found})
            self._looked_up.update(wanted)
        return Shelf(self._products.values())

    @property
    def subject(self) -> str:
        """Whom experiments deal to: the customer, or a guest's order."""
        return str(self.read.order["customer_ref"] or self.read.order["order_ref"])

    @cached_property
    def skus(self) -> tuple[str, ...]:
        """The order's products."""
        return tuple(dict.fromkeys(line["sku"] for line in self.read.order["lines"]))

    @cached_property
    def facts(self) -> RuleFacts:
        """What rules may ask."""
        return facts_of(self.rt, self.read.order, self.shelf(self.skus), now=self.now)

    @cached_property
    def basket(self) -> Basket:
        """What was paid for."""
        order = self.read.order
        return Basket(
            lines=lines_from_json(order["lines"], order["currency"]),
            total=Money(order["total_minor"], order["currency"]),
        )

    @cached_property
    def candidates(self) -> list[Candidate]:
        """The recommender's, as they were ranked when the order was paid."""
        return [Candidate(**entry) for entry in self.read.order["candidates"]]

    @cached_property
    def shown(self) -> list[tuple[str, int]]:
        """(sku, total in minor units) of everything this order was offered before."""
        return [(row["sku"], row["total_minor"]) for row, _ in self.read.steps if row["outcome"] == "offered"]

    @cached_property
    def had(self) -> list[Had]:
        """Offers this customer had of any campaign that asks, with those of this very order."""
        order = self.read.order
        here = [
            Had(campaign_ref=row["campaign_ref"] or BUILT_IN, at=row["decided_at"], accepted=charge is not None)
            for row, charge in self.read.steps
            if row["outcome"] == "offered"
        ]
        if order["customer_ref"] is None:
            return here
        asking = [one.campaign for one in self.book.live if one.campaign.limits.ask_history]
        groups = {campaign.limits.group for campaign in asking if campaign.limits.group is not None}
        refs = {campaign.ref for campaign in asking}.union(*(self.book.group(group) for group in groups))
        with self.rt.db.read(hasty=True) as connection:
            before = shoppers.offers_before(
                connection,
                order["customer_ref"],
                account=self.rt.account,
                campaign_refs=refs,
                but=order["order_ref"],
            )
        return before + here

    @cached_property
    def sold(self) -> Mapping[str, tuple[int, dict[str, int]]]:
        """What campaigns with a budget have sold."""
        refs = [one.campaign.ref for one in self.book.live if one.campaign.budget is not None]
        with self.rt.db.read(hasty=True) as connection:
            return budgets.sold(connection, account=self.rt.account, campaign_refs=refs)
