"""Words that press instead of telling: found in a merchant's copy before any shopper reads them.

Three kinds, each with the rule it would break (not legal advice, and a word list is no judge: it is kept small, each
entry a phrase that shops really use to press, so that honest copy passes).

The stock count, and the time an offer lasts, are true or they are not shown: the card says them itself where the server
stands behind them. Copy is written once and shown for months, so in copy they cannot be true.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from flask_encore.domain.pressure_words import PHRASES


class Pressure(StrEnum):
    """What a phrase does to who reads it."""

    SCARCITY = "scarcity"  #: says that few are left, or that others take them
    URGENCY = "urgency"  #: says that time runs out
    SHAME = "shame"  #: makes a no something to be ashamed of


#: Why a phrase cannot stay, and what to do.
REASONS: Mapping[Pressure, str] = {
    Pressure.SCARCITY: "it says that few are left, which presses, and copy cannot know it (Directive 2005/29/EC, "
    "articles 5 and 6; DMCC Act 2024, section 226). Say what the product is.",
    Pressure.URGENCY: "it hurries the shopper (Directive 2005/29/EC, annex I, 7; DMCC Act 2024, schedule 20). "
    "Take it out; timer_minutes shows a deadline that the server keeps.",
    Pressure.SHAME: "it makes a no something to be ashamed of (Directive 2005/29/EC, article 8; Commission notice "
    "2021/C 526/01, 4.2.7). Say what the offer is; the button for a no is Encore's own.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One phrase that was found, as the merchant wrote it."""

    words: str
    pressure: Pressure

    def __str__(self) -> str:
        return f"says {self.words!r}: {REASONS[self.pressure]}"


def hits(text: str, language: str) -> list[Hit]:
    """What presses in *text*, left to right: by the list of its language, and the English one, whatever the language.

    Args:
        language: Its tag, such as ``de-AT``. One without a list has the English one.
    """
    own = language.replace("_", "-").split("-")[0].lower()
    written = unicodedata.normalize("NFKC", text)
    spans: dict[tuple[int, int], Pressure] = {}
    for listed in dict.fromkeys([_ALIASES.get(own, own), "en"]):
        plain, places = _folded(written, listed)
        for pattern, pressure in _patterns(listed):
            match = pattern.search(plain)
            if match is not None:
                spans.setdefault((places[match.start()], places[match.end() - 1] + 1), pressure)
    outer = [span for span in sorted(spans) if not any(_holds(other, span) for other in spans)]
    return [Hit(words=written[start:end].strip(), pressure=spans[start, end]) for start, end in outer]


def _holds(outer: tuple[int, int], inner: tuple[int, int]) -> bool:
    return outer != inner and outer[0] <= inner[0] and inner[1] <= outer[1]


#: Written with the same words as a language that has a list.
_ALIASES = {"no": "nb", "nn": "nb"}

#: Languages whose marks make other letters: が is not か.
_MARKED = {"ja"}

#: Accents, which people leave out, and invisible characters, which hide a word from a list.
_DROPPED = {"Mn", "Cf"}

#: A straight apostrophe for all that look like one, and Arabic's stretching of letters for nothing.
_SAME = str.maketrans({"’": "'", "‘": "'", "`": "'", "´": "'", "\u0640": None})


def _folded(text: str, language: str) -> tuple[str, list[int]]:
    """*text* as phrases are compared: small letters, no accents, nothing invisible, one space; and where each was."""
    folded: list[str] = []
    places: list[int] = []
    for place, one in enumerate(text):
        form = one.translate(_SAME).casefold()
        if language not in _MARKED:
            form = unicodedata.normalize("NFKD", form)
        for part in form:
            if part.isspace():
                part = " "
                if folded[-1:] == [" "]:
                    continue
            elif unicodedata.category(part) in _DROPPED:
                continue
            folded.append(part)
            places.append(place)
    return "".join(folded), places


@cache
def _patterns(language: str) -> tuple[tuple[re.Pattern[str], Pressure], ...]:
    return tuple(_compiled(language))


def _compiled(language: str) -> Iterator[tuple[re.Pattern[str], Pressure]]:
    for kind, phrases in PHRASES.get(language, {}).items():
        for phrase in phrases:
            yield re.compile(_folded(phrase, language)[0]), Pressure(kind)
