"""What a shopper agrees to: the way they take an offer, its lines and amounts, and the text they give with it.

An offer's snapshot is frozen when it is decided. A charge's is made of it here, once, at the claim; everybody who tells
of the charge afterwards, Stripe and the host shop among them, reads it here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask_encore.domain.charges import Charge
from flask_encore.domain.errors import EncoreError, IllegalTransition
from flask_encore.domain.money import Money
from flask_encore.domain.orders import plain
from flask_encore.domain.prices import OfferLine

#: What ends a line in what browsers, files and Unicode send.
_LINE_END = re.compile(r"\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")


class ChoiceGone(EncoreError):
    """There is no such choice, or it is sold out; nothing was claimed and nothing charged."""


class TextRefused(EncoreError):
    """The text is missing or too long; nothing was claimed and nothing charged."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        #: ``missing`` or ``too_long``.
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What was agreed to, read from a snapshot.

    Attributes:
        lines: What is added to the order, at least one line.
        tax: ``None`` when nobody told how much of it is tax.
        tax_included: Whether *tax* is within the other amounts.
        total: What is charged.
        text: The shopper's, empty when none was given.
    """

    lines: tuple[OfferLine, ...]
    shipping: Money
    tax: Money | None
    tax_included: bool
    total: Money
    text: str

    @classmethod
    def of(cls, charge: Charge) -> Agreement:
        """The agreement behind *charge*; one of an earlier release is of a single line."""
        told, currency = charge.snapshot, charge.amount.currency
        tax = told.get("tax")
        lines = told.get("lines") or [
            {
                "sku": charge.sku,
                "title": told["title"],
                "quantity": charge.quantity,
                "item": told["item"],
                "discount": told["discount"],
                "ships": True,
            }
        ]
        return cls(
            lines=tuple(OfferLine.from_json(line, currency) for line in lines),
            shipping=Money(told["shipping"], currency),
            tax=None if tax is None else Money(tax, currency),
            tax_included=told.get("tax_included", True),
            total=Money(told["total"], currency),
            text=told.get("text_given", ""),
        )

    def check(self, charge: Charge) -> None:
        """Make sure that what was shown is what will be charged, and what will be added to the order.

        Raises:
            IllegalTransition: If it is not, to the minor unit and the piece; a bug, and nothing may be charged.
        """
        due = sum((line.amount for line in self.lines), self.shipping)
        if self.tax is not None and not self.tax_included:
            due += self.tax
        if not due == self.total == charge.amount:
            raise IllegalTransition(
                f"offer {charge.id} shows {self.total}, adds {due} and would charge {charge.amount}"
            )
        sold = {line.sku for line in self.lines}
        if sold != set(charge.skus) or any(line.quantity != charge.quantity for line in self.lines):
            raise IllegalTransition(
                f"offer {charge.id} adds other products, or other quantities, than it takes from stock"
            )

    @property
    def description(self) -> str:
        """The lines in a few words, for Stripe's records and the merchant's search in them."""
        return " + ".join(
            line.title if line.quantity == 1 else f"{line.quantity} \N{MULTIPLICATION SIGN} {line.title}"
            for line in self.lines
        )


def taken(snapshot: Mapping[str, Any], choice: int = 0, text: str = "") -> dict[str, Any]:
    """The snapshot of a charge that takes an offer's *choice*: the offer's, with the chosen entry on top.

    Args:
        choice: Place in the offer's choices; 0, the default, of an offer that has none.
        text: As the shopper sent it; ignored where the offer asks for none.

    Raises:
        ChoiceGone: If there is no such choice, or it is sold out.
        TextRefused: If the text is missing where it is required, or too long.
    """
    choices = snapshot.get("choices") or [{}]
    if type(choice) is not int or not 0 <= choice < len(choices) or choices[choice].get("sold_out"):
        raise ChoiceGone
    given = _text_given(snapshot.get("text"), text)
    kept = {name: value for name, value in snapshot.items() if name != "choices"}
    return {**kept, **choices[choice], "text_given": given}


def _text_given(asked: Mapping[str, Any] | None, text: object) -> str:
    """*text* as it is kept: what cannot be shown to a packer as it was written is replaced by spaces."""
    if asked is None:
        return ""
    lines = _LINE_END.split(text) if isinstance(text, str) else []
    given = "\n".join(plain(line).rstrip() for line in lines).strip()
    if not any(letter.isprintable() and not letter.isspace() for letter in given):
        if asked["required"]:
            raise TextRefused("missing")
        return ""
    if len(given) > asked["max_length"]:
        raise TextRefused("too_long")
    return given
