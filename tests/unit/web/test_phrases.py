"""The catalogues: complete, in step with each other and with the templates; amounts and times in every language."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import flask_encore
from flask_encore.domain.money import Money
from flask_encore.web.card import FAILURES
from flask_encore.web.catalogues import placeholders
from flask_encore.web.contexts import CardState
from flask_encore.web.phrases import CATALOGUES, phrases_for

TEMPLATES = Path(flask_encore.__file__).parent / "templates" / "encore" / "offer"

BERLIN = ZoneInfo("Europe/Berlin")

#: Keys the templates put together from a state.
COMPOSED = {
    *(f"{state}.{part}" for state in ("charging", "unknown", "undoing") for part in ("heading", "body")),
    *(f"{state}.heading" for state in ("undone", "declined", "expired", "sold_out", "canceled")),
    *FAILURES.values(),
    "failed.declined",
    "accept",
    "accept_free",
}

#: Sentences that are written alike in English and in some other language.
SAME_IN_BOTH = {"price.lines", "price.sum", "open.variant", "open.quantity"}

#: A value for every placeholder a sentence has.
VALUES = {
    name: f"<{name}>"
    for name in (
        *("card", "limit", "of_orders", "order", "percent", "price", "quantity"),
        *("support", "tax", "text", "time", "title", "total"),
    )
}


def test_fourteen_languages_are_spoken() -> None:
    assert sorted(CATALOGUES) == [
        *("ar", "da", "de", "en", "es", "fr", "it"),
        *("ja", "nb", "nl", "pl", "pt", "ro", "sv"),
    ]


@pytest.mark.parametrize("language", sorted(CATALOGUES))
def test_every_language_says_everything(language: str) -> None:
    assert sorted(CATALOGUES[language]) == sorted(CATALOGUES["en"])


@pytest.mark.parametrize("language", sorted(set(CATALOGUES) - {"en"}))
def test_a_translation_keeps_the_placeholders_of_the_original(language: str) -> None:
    mine, original = CATALOGUES[language], CATALOGUES["en"]
    different = {
        key for key in original if key != "accept" and placeholders(mine.get(key, "")) != placeholders(original[key])
    }
    assert different == set()


@pytest.mark.parametrize("language", sorted(CATALOGUES))
def test_every_sentence_can_be_said_and_leaves_no_brace(language: str) -> None:
    say = phrases_for(language)
    assert [key for key in CATALOGUES[language] if set("{}") & set(say(key, **VALUES))] == []


@pytest.mark.parametrize("language", sorted(set(CATALOGUES) - {"en"}))
def test_a_translation_is_one(language: str) -> None:
    same = {key for key, sentence in CATALOGUES[language].items() if sentence == CATALOGUES["en"][key]}
    assert same <= SAME_IN_BOTH


def test_the_templates_and_the_catalogues_name_the_same_keys() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in TEMPLATES.glob("*.html"))
    literal = set(re.findall(r"""say\(["']([\w.]+)["']""", sources))
    assert literal | COMPOSED == set(CATALOGUES["en"])


def test_every_state_that_composes_a_key_is_a_state() -> None:
    assert {key.partition(".")[0] for key in COMPOSED if key.endswith(".heading")} <= set(CardState)


def test_the_order_button_carries_the_total_or_the_words_of_the_law() -> None:
    assert phrases_for("en-GB").accept_label(Money(1161, "gbp")) == "Buy now · £11.61"
    assert phrases_for("de-DE").accept_label(Money(1161, "eur")) == "Zahlungspflichtig bestellen"
    assert phrases_for("ar").accept_label(Money(1161, "gbp")) == "اشترِ الآن · \u2068\u206611.61\u00a0UK£\u2069\u2069"
    assert phrases_for("ja-JP").accept_label(Money(1200, "jpy")) == "購入を確定する（￥1,200）"


def test_a_button_that_orders_for_free_speaks_of_no_payment() -> None:
    assert phrases_for("en-GB").accept_label(Money(0, "gbp")) == "Add for free"
    assert phrases_for("de-DE").accept_label(Money(0, "eur")) == "Kostenlos hinzufügen"
    assert phrases_for("en-GB").accept_label(Money(1, "gbp")) == "Buy now · £0.01"


@pytest.mark.parametrize(
    ("locale", "language", "formats"),
    [
        ("de", "de", "de"),
        ("de-AT", "de", "de_AT"),
        ("de_AT", "de", "de_AT"),
        ("DE-at", "de", "de_AT"),
        ("de-XX", "de", "de"),
        ("pt-BR", "pt", "pt_BR"),
        ("pt", "pt", "pt_PT"),
        ("PT", "pt", "pt_PT"),
        ("no", "nb", "no"),
        ("no-NO", "nb", "no"),
        ("nn-NO", "nb", "nn_NO"),
        ("nb-NO", "nb", "nb_NO"),
        ("sv-FI", "sv", "sv_FI"),
        ("mo", "ro", "ro_RO"),
        ("zh", "en", "en"),
        ("zh-Hant-TW", "en", "en"),
        ("root", "en", "en"),
        ("xx", "en", "en"),
        ("", "en", "en"),
        ("../../etc/passwd", "en", "en"),
        ("de-DE-u-co-phonebk", "de", "de"),
    ],
)
def test_an_unknown_locale_falls_back_to_its_language_then_to_english(locale: str, language: str, formats: str) -> None:
    phrases = phrases_for(locale)
    assert (phrases.language, str(phrases.locale)) == (language, formats)


@pytest.mark.parametrize(
    ("locale", "amount", "text"),
    [
        ("en-GB", Money(1161, "gbp"), "£11.61"),
        ("en-GB", Money(0, "gbp"), "£0.00"),
        ("en-GB", Money(-129, "gbp"), "−£1.29"),
        ("en-US", Money(123456789, "usd"), "$1,234,567.89"),
        ("de-DE", Money(1161, "eur"), "11,61\u00a0€"),
        ("de-DE", Money(-129, "eur"), "−1,29\u00a0€"),
        ("de-CH", Money(1161, "chf"), "CHF\u00a011.61"),
        ("it-IT", Money(-1161, "eur"), "−11,61\u00a0€"),
        ("nl-NL", Money(1161, "eur"), "€\u00a011,61"),
        ("nl-NL", Money(-1161, "eur"), "€\u00a0−11,61"),
        ("pt-PT", Money(1161, "eur"), "11,61\u00a0€"),
        ("pt", Money(1234567, "eur"), "12\u00a0345,67\u00a0€"),
        ("pt-BR", Money(123456, "brl"), "R$\u00a01.234,56"),
        ("pl-PL", Money(123456, "pln"), "1\u00a0234,56\u00a0zł"),
        ("sv-SE", Money(-11610, "sek"), "−116,10\u00a0kr"),
        ("da-DK", Money(11610, "dkk"), "116,10\u00a0kr."),
        ("nb-NO", Money(-11610, "nok"), "−116,10\u00a0kr"),
        ("no", Money(11610, "nok"), "116,10\u00a0kr"),
        ("ro-RO", Money(1161, "ron"), "11,61\u00a0RON"),
        ("ja-JP", Money(1200, "jpy"), "￥1,200"),
        ("ja-JP", Money(1161, "usd"), "$11.61"),
        ("en", Money(500, "jpy"), "¥500"),
        ("en", Money(1500, "kwd"), "KWD\u00a01.500"),
        ("en", Money(129000, "isk"), "ISK\u00a01,290.00"),
        ("en", Money(129000, "huf"), "HUF\u00a01,290.00"),
    ],
)
def test_an_amount_shows_exactly_the_decimals_that_are_charged(locale: str, amount: Money, text: str) -> None:
    assert phrases_for(locale).money(amount) == text


def test_a_percentage_carries_a_real_minus() -> None:
    assert phrases_for("en").percent(-10) == "−10%"
    assert phrases_for("de").percent(-10) == "−10\u00a0%"


def test_every_language_writes_a_percentage_and_a_moment_its_own_way() -> None:
    until, before = datetime(2026, 11, 22, 0, 3, tzinfo=BERLIN), datetime(2026, 11, 21, 23, 33, tzinfo=BERLIN)
    spoken = {
        language: (phrases_for(language).percent(-10), phrases_for(language).moment(until, on_day_of=before))
        for language in sorted(set(CATALOGUES) - {"ar", "en"})
    }
    assert spoken == {
        "da": ("−10\u00a0%", "22. nov., 00.03"),
        "de": ("−10\u00a0%", "22. Nov., 00:03"),
        "es": ("−10\u00a0%", "22 nov, 0:03"),
        "fr": ("−10\u00a0%", "22 nov., 00:03"),
        "it": ("−10%", "22 nov, 00:03"),
        "ja": ("−10%", "11月22日, 0:03"),
        "nb": ("−10\u00a0%", "22. nov., 00:03"),
        "nl": ("−10%", "22 nov, 00:03"),
        "pl": ("−10%", "22 lis, 00:03"),
        "pt": ("−10%", "22/11, 00:03"),
        "ro": ("−10\u00a0%", "22 nov., 00:03"),
        "sv": ("−10\u00a0%", "22 nov., 00:03"),
    }


def test_a_latin_card_number_is_isolated_inside_arabic_and_an_arabic_title_inside_english() -> None:
    assert phrases_for("ar")("charged.body", card="Visa •••• 4242") == "خُصم من \u2068Visa •••• 4242\u2069."
    assert phrases_for("en")("open.why", title="شاي") == "Often bought together with \u2068شاي\u2069"
    assert phrases_for("en")("open.why", title="Tea") == "Often bought together with Tea"


def test_a_value_that_looks_like_a_placeholder_stays_text() -> None:
    assert phrases_for("en")("open.why", title="{total.__class__}") == "Often bought together with {total.__class__}"


def test_a_moment_names_its_day_only_when_that_is_another_day() -> None:
    german, until = phrases_for("de"), datetime(2026, 11, 22, 0, 3, tzinfo=BERLIN)
    assert german.moment(until) == "00:03"
    assert german.moment(until, on_day_of=datetime(2026, 11, 22, 0, 1, tzinfo=BERLIN)) == "00:03"
    assert german.moment(until, on_day_of=datetime(2026, 11, 21, 23, 33, tzinfo=BERLIN)) == "22. Nov., 00:03"


def test_a_missing_sentence_or_value_is_an_error_not_a_hole_in_the_page() -> None:
    with pytest.raises(KeyError, match="no_such_sentence"):
        phrases_for("de")("no_such_sentence")
    with pytest.raises(KeyError, match="title"):
        phrases_for("de")("open.why")


def test_directions() -> None:
    assert [phrases_for(name).direction for name in ("en", "de", "ar-EG")] == ["ltr", "ltr", "rtl"]


def test_an_amount_keeps_its_order_inside_an_arabic_line() -> None:
    say = phrases_for("ar")

    assert say.money(Money(1161, "gbp")) == "\u206611.61\u00a0UK£\u2069"
    assert say.money(Money(-119, "gbp")) == "\u2066\u22121.19\u00a0UK£\u2069"
