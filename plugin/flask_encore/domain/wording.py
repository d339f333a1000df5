"""A merchant's own words beside an offer: a headline and a text, never the buttons."""

from __future__ import annotations

from dataclasses import dataclass

from flask_encore.domain.errors import InvalidInput

#: Two lines of a phone in the card's largest letters.
MAX_HEADLINE = 80

#: A short paragraph.
MAX_BODY = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Headline and text in one language; an empty one leaves ours, or none, in its place."""

    headline: str = ""
    body: str = ""

    def __post_init__(self) -> None:
        for name, text, most in (("headline", self.headline, MAX_HEADLINE), ("body", self.body, MAX_BODY)):
            if not isinstance(text, str) or len(text) > most:
                raise InvalidInput(f"{name} has to be a text of at most {most} characters.")
