"""The shopper's words in every language we speak, and amounts and times written the way each language writes them.

The catalogues are ``locales/<language>.po``, read once at import: there is no build step and no ``.mo`` file. Sentences
are worded so that no number governs a noun, so there are no plural forms to get wrong.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.dates import format_skeleton, format_time
from babel.messages.pofile import read_po
from babel.numbers import NumberPattern, format_percent

from flask_encore.domain.money import Money, exponent

LOCALES = Path(__file__).parent.parent / "locales"

#: What is spoken when the shopper's language is not among the catalogues.
FALLBACK = "en"

#: Unicode's first-strong isolate and its end: keep "Visa •••• 4242" in order inside an Arabic sentence.
_ISOLATE, _END = "\u2068", "\u2069"
#: Its left-to-right sister, and the mark CLDR puts before Arabic amounts.
_ISLAND, _MARK = "\u2066", "\u200f"

#: As wide as a plus and read aloud as "minus", which the hyphen in the locale data is not.
_MINUS = "\u2212"

#: ``KWD1.500`` wants a space; the locale data says so, Babel does not read that rule.
_LETTER_THEN_DIGIT = re.compile(r"(?<=[^\W\d_])(?=\d)")


def _read(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        catalog = read_po(file, locale=path.stem)
    return {str(entry.id): str(entry.string) for entry in catalog if entry.id and entry.string}


#: Language -> key -> sentence.
CATALOGUES: Mapping[str, Mapping[str, str]] = {path.stem: _read(path) for path in sorted(LOCALES.glob("*.po"))}


@dataclass(frozen=True, slots=True)
class Phrases:
    """One shopper's language.

    Attributes:
        locale: For amounts and times; keeps the region (``de_AT``).
        language: Of the catalogue that speaks (``de``).
    """

    locale: Locale
    language: str

    @property
    def direction(self) -> str:
        """``ltr`` or ``rtl``."""
        return self.locale.text_direction

    def __call__(self, key: str, /, **values: str) -> str:
        """The sentence *key* with *values* filled in.

        Raises:
            KeyError: If there is no such sentence, or it needs a value that was not given.
        """
        sentence = CATALOGUES[self.language].get(key) or CATALOGUES[FALLBACK][key]
        return sentence.format_map({name: self._isolated(value) for name, value in values.items()})

    def money(self, amount: Money) -> str:
        """*amount* with its sign and exactly the decimals of *our* table: ``£12.90``, ``¥500``, ``KWD 1.500``."""
        pattern = _pattern(self.locale, exponent(amount.currency))
        text = pattern.apply(amount.decimal, self.locale, currency=amount.currency.upper(), currency_digits=False)
        written = _LETTER_THEN_DIGIT.sub("\u00a0", str(text)).replace("-", _MINUS)
        # "UK£" is Latin: without a left-to-right island its letters and its sign change places in an Arabic line.
        return f"{_ISLAND}{written.replace(_MARK, '')}{_END}" if self.direction == "rtl" else written

    def percent(self, whole: int) -> str:
        """*whole* percent: ``−10%``, ``−10 %``."""
        return format_percent(Decimal(whole) / 100, locale=self.locale).replace("-", _MINUS)

    def moment(self, when: datetime, *, on_day_of: datetime | None = None) -> str:
        """The time of day, ``14:33``; with its day, when that is not the day of *on_day_of*."""
        time = format_time(when, format="short", tzinfo=when.tzinfo, locale=self.locale)
        if on_day_of is None or on_day_of.date() == when.date():
            return time
        return f"{format_skeleton('MMMd', when, tzinfo=when.tzinfo, locale=self.locale)}, {time}"

    def accept_label(self, total: Money) -> str:
        """The order button's label: locked per language, never a merchant's own text. Part of the consent evidence."""
        return self("accept", total=self.money(total))

    def _isolated(self, value: str) -> str:
        foreign = self.direction == "rtl" or any(unicodedata.bidirectional(letter) in {"R", "AL"} for letter in value)
        return f"{_ISOLATE}{value}{_END}" if foreign else value


@cache
def _pattern(locale: Locale, decimals: int) -> NumberPattern:
    pattern: NumberPattern = copy(locale.currency_formats["standard"])
    pattern.frac_prec = (decimals, decimals)
    return pattern


@lru_cache(maxsize=256)  # locales come from orders; the world has fewer in use
def phrases_for(locale: str) -> Phrases:
    """The phrases for *locale* (``de-AT``): its own, else its language's, else English. Never raises."""
    tag = locale.replace("-", "_")
    for name in (tag, tag.partition("_")[0]):
        try:
            wanted = Locale.parse(name)
        except (UnknownLocaleError, ValueError):
            continue
        if wanted.language in CATALOGUES:
            return Phrases(wanted, wanted.language)
    return Phrases(Locale.parse(FALLBACK), FALLBACK)


#: Which wording shoppers agree to: the digest of every button label and price line, in every language. It is kept
#: with each acceptance, and changes by itself when somebody changes a word.
CONSENT_VERSION = sha256(
    "\n".join(
        f"{language} {key} {sentence}"
        for language, catalogue in sorted(CATALOGUES.items())
        for key, sentence in sorted(catalogue.items())
        if key.startswith(("accept", "open.", "price."))
    ).encode()
).hexdigest()[:16]
