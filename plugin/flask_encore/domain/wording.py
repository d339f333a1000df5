"""A merchant's own words beside an offer: a headline and a text, never the buttons."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from flask_encore.domain.errors import InvalidInput

#: Two lines of a phone in the card's largest letters.
MAX_HEADLINE = 80

#: A short paragraph.
MAX_BODY = 300

#: Characters that hide or reorder what stands around them, that break a line, or that cannot be stored at all. What
#: languages need stays: joiners (in emoji, Persian, Hindi), the marks U+200E and U+200F, and non-breaking spaces.
_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

#: The names people know better than Unicode's, or that Unicode has none for.
_NAMES = {"\t": "a tab", "\n": "a line break", "\r": "a line break", "\0": "a null character"}

#: What a browser would take for a tag, a comment or a character of HTML: `<b>`, `</p`, `<!--`, `&nbsp;`, `&#39;`. A
#: heart (`<3`), `a < b` and `Q&A` are none of these.
_TAG = re.compile(r"</?[A-Za-z][^<>]*>?|<!|<\?")
_ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,31}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});")

#: Characters of a tag that a sentence repeats.
_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Headline and text in one language; an empty one leaves ours, or none, in its place."""

    headline: str = ""
    body: str = ""

    def __post_init__(self) -> None:
        for name, text, most in (("headline", self.headline, MAX_HEADLINE), ("body", self.body, MAX_BODY)):
            for fault in faults(text, most=most):
                raise InvalidInput(f"{name} {fault}")


def faults(text: object, *, most: int, least: int = 0) -> list[str]:
    """What is wrong with words a shopper is to read, one sentence each, and the fix.

    Args:
        most: Characters the text may have, code points.
        least: Characters it has to have, spaces at its ends not counted.
    """
    if not isinstance(text, str):
        return [f"has to be a text of at most {most} characters."]
    found = []
    if not least <= len(text.strip()) or len(text) > most:
        span = f"{least} to {most}" if least else f"at most {most}"
        found.append(f"has to be a text of {span} characters, got {len(text)}.")
    found += hidden(text)
    tag = _TAG.search(text)
    if tag is not None:
        shown = tag[0][:_SHOWN]
        found.append(f"has {shown!r}, but it is shown as text and not as HTML: take the tags out.")
    entity = _ENTITY.search(text)
    if entity is not None:
        found.append(f"has {entity[0]!r}, but it is shown as text and not as HTML: write the character itself.")
    return found


def hidden(text: str) -> list[str]:
    """A sentence for each different character that hides or reorders what is around it, or breaks the line."""
    places: dict[str, int] = {}
    for found in _HIDDEN.finditer(text):
        places.setdefault(found[0], found.start() + 1)
    return [f"has {_name(one)} at character {place}: take it out." for one, place in places.items()]


def _name(character: str) -> str:
    """A character by its code point, and by name where it has one."""
    code = f"U+{ord(character):04X}"
    name = _NAMES.get(character) or unicodedata.name(character, "").lower()
    if not name:
        name = "half of a surrogate pair" if 0xD800 <= ord(character) <= 0xDFFF else "a control character"
    return f"{code} ({name})"
