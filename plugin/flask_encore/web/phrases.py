"""The shopper's words in every language we speak, and amounts and times written the way each language writes them.

The catalogues are ``locales/<language>.po``, read once at import: there is no build step and no ``.mo`` file. Sentences
are worded so that no number governs a noun, so there are no plural forms to get wrong. An app may have catalogues of
its own on top (``ENCORE_LOCALES``); they are in its `Catalogues`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.dates import format_skeleton, format_time
from babel.numbers import NumberPattern, format_percent

from flask_encore.domain.money import Money, exponent
from flask_encore.web.catalogues import FALLBACK, READ_AS, Sentences, read_dropped, read_shipped

#: Unicode's first-strong isolate and its end: keep "Visa •••• 4242" in order inside an Arabic sentence.
_ISOLATE, _END = "\u2068", "\u2069"
#: Its left-to-right sister, and the mark CLDR puts before Arabic amounts.
_ISLAND, _MARK = "\u2066", "\u200f"

#: As wide as a plus and read aloud as "minus", which the hyphen in the locale data is not.
_MINUS = "\u2212"

#: Our Portuguese is Portugal's, and locale data takes the bare language for Brazil's. ``pt-BR`` keeps its own formats.
_FORMATS = {"pt": "pt_PT"}

#: ``KWD1.500`` wants a space; the locale data says so, Babel does not read that rule.
_LETTER_THEN_DIGIT = re.compile(r"(?<=[^\W\d_])(?=\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """One shopper's language.

    Attributes:
        locale: For amounts and times; keeps the region (``de_AT``).
        language: Of the catalogue that speaks, as a language tag (``de``, ``zh-Hant``).
        sentences: The catalogue itself.
    """

    locale: Locale
    language: str
    sentences: Sentences = field(repr=False, compare=False)

    @property
    def direction(self) -> str:
        """``ltr`` or ``rtl``."""
        return self.locale.text_direction

    def __call__(self, key: str, /, **values: str) -> str:
        """The sentence *key* with *values* filled in.

        Raises:
            KeyError: If there is no such sentence, or it needs a value that was not given.
        """
        return self.sentences[key].format_map({name: self._isolated(value) for name, value in values.items()})

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
        """The order button's label, locked per language (`web.labels`). Part of the consent evidence.

        A *total* of zero obliges nobody to pay, so its button does not say that anybody is.
        """
        return self("accept", total=self.money(total)) if total.minor_units else self("accept_free")

    def _isolated(self, value: str) -> str:
        foreign = self.direction == "rtl" or any(unicodedata.bidirectional(letter) in {"R", "AL"} for letter in value)
        return f"{_ISOLATE}{value}{_END}" if foreign else value


@cache
def _pattern(locale: Locale, decimals: int) -> NumberPattern:
    pattern: NumberPattern = copy(locale.currency_formats["standard"])
    pattern.frac_prec = (decimals, decimals)
    return pattern


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Catalogues:
    """Every language one app speaks.

    Attributes:
        sentences: Locale, as Babel writes it -> key -> sentence. Each is complete.
    """

    sentences: Mapping[str, Sentences]

    def with_folder(self, folder: Path) -> Catalogues:
        """These and the ``*.po`` in *folder*, which win.

        Raises:
            ConfigurationError: When one of them cannot be used, or changes a locked label.
        """
        dropped = read_dropped(folder, original=CATALOGUES[FALLBACK])
        return Catalogues(sentences={**self.sentences, **dropped})

    def phrases_for(self, locale: str) -> Phrases:
        """The phrases for *locale* (``de-AT``): its own, else its language's, else English. Never raises."""
        return _phrases_for(self, locale)

    @property
    def consent_version(self) -> str:
        """Which wording shoppers agree to: the digest of every button label and price line, in every language.

        It is kept with each acceptance, and changes by itself when somebody changes a word.
        """
        wording = (
            f"{name} {key} {sentence}"
            for name, catalogue in sorted(self.sentences.items())
            for key, sentence in sorted(catalogue.items())
            if key.startswith(("accept", "open.", "price."))
        )
        return sha256("\n".join(wording).encode()).hexdigest()[:16]


@lru_cache(maxsize=256)  # locales come from orders; the world has fewer in use
def _phrases_for(catalogues: Catalogues, locale: str) -> Phrases:
    tag = locale.replace("-", "_")
    for written in (tag, tag.partition("_")[0]):
        try:
            wanted = Locale.parse(_FORMATS.get(written.lower(), written))
        except (UnknownLocaleError, ValueError):
            continue
        for name in _names(wanted):
            if name in catalogues.sentences:
                return _speak(catalogues, wanted, name)
    return _speak(catalogues, Locale.parse(FALLBACK), FALLBACK)


def _names(locale: Locale) -> Iterator[str]:
    """Names under which a catalogue of *locale* may stand, the nearest first."""
    language, script, territory = locale.language, locale.script, locale.territory
    for parts in ((language, script, territory), (language, script), (language, territory), (language,)):
        yield "_".join(part for part in parts if part)
    if language in READ_AS:
        yield READ_AS[language]


def _speak(catalogues: Catalogues, locale: Locale, name: str) -> Phrases:
    return Phrases(locale=locale, language=name.replace("_", "-"), sentences=catalogues.sentences[name])


#: Language -> key -> sentence, as shipped.
CATALOGUES: Mapping[str, Sentences] = read_shipped()

#: The languages of every app, before its own.
SHIPPED = Catalogues(sentences=CATALOGUES)


def phrases_for(locale: str) -> Phrases:
    """The phrases for *locale* in what is shipped, for pages that belong to no app."""
    return SHIPPED.phrases_for(locale)
