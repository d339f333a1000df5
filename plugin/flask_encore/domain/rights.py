"""Who may do what on the merchant's side: look, change, give money back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from flask_encore.domain.errors import InvalidInput


class Right(StrEnum):
    """One thing a person, or a token, may be allowed. None of them includes another."""

    READ = "read"  #: see every page and every figure
    EDIT = "edit"  #: change campaigns, experiments, models, settings, tokens and webhooks
    REFUND = "refund"  #: give a shopper's money back


#: What a merchant may do who is nobody in particular.
EVERY_RIGHT = frozenset(Right)


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody the host's ``admin_guard`` lets in.

    Attributes:
        name: Written down with everything they change.
        rights: What they may do; everything when not said.

    Raises:
        InvalidInput: If something else than rights is among *rights*.
    """

    name: str
    rights: frozenset[Right] = EVERY_RIGHT

    def __post_init__(self) -> None:
        try:
            given = frozenset(Right(right) for right in self.rights)
        except ValueError as error:
            known = ", ".join(Right)
            raise InvalidInput(f"An actor's rights are of {known}; {error}.") from error
        object.__setattr__(self, "rights", given)
