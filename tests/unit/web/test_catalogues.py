"""A merchant's own catalogues: what they may add, what they may reword, and every way one is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flask_encore.domain.errors import ConfigurationError
from flask_encore.domain.money import Money
from flask_encore.web.catalogues import LOCALES, MAX_BYTES, MAX_SENTENCE, placeholders
from flask_encore.web.phrases import CATALOGUES, SHIPPED, Catalogues, phrases_for


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a merchant keeps catalogues."""
    made = tmp_path / "words"
    made.mkdir()
    return made


def drop(folder: Path, name: str, *changes: tuple[str, str], copied: str = "en") -> Path:
    """A copy of one of our catalogues under *name*, with *changes*: each replaces one text."""
    text = (LOCALES / f"{copied}.po").read_text(encoding="utf-8")
    text = text.replace(f'"Language: {copied}\\n"', f'"Language: {name.replace("-", "_")}\\n"')
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / f"{name}.po"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path) -> list[str]:
    """What is told about *folder*, a line per problem, without the heading."""
    with pytest.raises(ConfigurationError) as refused:
        SHIPPED.with_folder(folder)
    heading, *lines = str(refused.value).splitlines()
    assert heading == "The catalogues of ENCORE_LOCALES cannot be used:"
    return [line.strip() for line in lines]


def test_a_dropped_catalogue_speaks_for_its_language_and_every_region_of_it(folder: Path) -> None:
    drop(folder, "fi", ('"Buy now · {total}"', '"Osta nyt · {total}"'), ('"Price"', '"Hinta"'))
    mine = SHIPPED.with_folder(folder)

    say = mine.phrases_for("fi-FI")
    assert (say.language, str(say.locale), say("price.item")) == ("fi", "fi_FI", "Hinta")
    assert say.accept_label(Money(1161, "eur")) == "Osta nyt · 11,61\u00a0€"
    assert {name: mine.sentences[name] for name in CATALOGUES} == CATALOGUES
    assert phrases_for("fi").language == "en"


def test_a_right_to_left_language_turns_the_card_around(folder: Path) -> None:
    drop(folder, "he", ('"Buy now · {total}"', '"לקנייה · {total}"'))
    say = SHIPPED.with_folder(folder).phrases_for("he-IL")

    assert say.direction == "rtl"
    assert say.accept_label(Money(1161, "gbp")) == "לקנייה · \u2068\u206611.61\u00a0£\u2069\u2069"


def test_a_region_may_have_sentences_of_its_own(folder: Path) -> None:
    drop(folder, "de_AT", ('"Rabatt ({percent})"', '"Nachlass ({percent})"'), copied="de")
    mine = SHIPPED.with_folder(folder)

    said = {locale: mine.phrases_for(locale)("price.discount", percent="5 %") for locale in ("de-AT", "de-DE", "de")}
    assert said == {"de-AT": "Nachlass (5 %)", "de-DE": "Rabatt (5 %)", "de": "Rabatt (5 %)"}
    assert mine.phrases_for("de-AT").language == "de-AT"
    assert mine.phrases_for("de-Latn-AT").language == "de-AT"


def test_a_script_is_found_from_the_region_that_writes_it(folder: Path) -> None:
    drop(folder, "zh_Hant")
    mine = SHIPPED.with_folder(folder)

    spoken = [mine.phrases_for(locale).language for locale in ("zh-TW", "zh-Hant-HK", "zh-Hans", "zh")]
    assert spoken == ["zh-Hant", "zh-Hant", "en", "en"]


def test_nynorsk_of_its_own_goes_before_the_bokmal_it_would_borrow(folder: Path) -> None:
    drop(folder, "nn")
    mine = SHIPPED.with_folder(folder)

    assert [mine.phrases_for(locale).language for locale in ("nn-NO", "no", "nb")] == ["nn", "nb", "nb"]


def test_a_shipped_language_may_be_reworded_but_for_its_buttons(folder: Path) -> None:
    drop(folder, "de", ('"Noch etwas dazu?"', '"Passt dazu"'), copied="de")
    say = SHIPPED.with_folder(folder).phrases_for("de")

    assert say("open.heading") == "Passt dazu"
    assert say.accept_label(Money(1161, "eur")) == "Zahlungspflichtig bestellen"


def test_english_reworded_speaks_for_the_languages_nobody_translated(folder: Path) -> None:
    drop(folder, "en", ('"One more thing?"', '"Before you go"'))
    assert SHIPPED.with_folder(folder).phrases_for("fi")("open.heading") == "Before you go"


@pytest.mark.parametrize(
    ("name", "copied", "key", "label", "changed"),
    [
        ("de", "de", "accept", "Zahlungspflichtig bestellen", "Zahlungspflichtig bestellen · {total}"),
        ("de_AT", "de", "accept", "Zahlungspflichtig bestellen", "Weiter"),
        ("pt-BR", "pt", "accept", "Encomenda com obrigação de pagar", "Comprar agora · {total}"),
        ("en", "en", "accept", "Buy now · {total}", "Claim your gift"),
        ("en", "en", "decline", "No thanks", "No, I like paying more"),
        ("fr", "fr", "accept_free", "Ajouter gratuitement", "Commande avec obligation de paiement"),
    ],
)
def test_a_locked_label_is_not_changed(
    folder: Path, name: str, copied: str, key: str, label: str, changed: str
) -> None:
    path = drop(folder, name, (f'msgid "{key}"\nmsgstr "{label}"', f'msgid "{key}"\nmsgstr "{changed}"'), copied=copied)
    assert problems(folder) == [f"{path}: {key} is a locked label and has to be “{label}”; put that back."]


def test_the_order_button_of_a_new_language_holds_the_total_or_names_a_law(folder: Path) -> None:
    path = drop(folder, "fi", ('"Buy now · {total}"', '"Tilaus velvoittaa maksamaan"'))
    assert problems(folder) == [
        f"{path}: accept is the order button and has to hold {{total}}; if your law allows nothing beside its own "
        'words, say so in the header: "X-Encore-Label: statutory\\n".'
    ]

    drop(
        folder,
        "fi",
        ('"Buy now · {total}"', '"Tilaus velvoittaa maksamaan"'),
        ('"MIME-Version: 1.0\\n"', '"MIME-Version: 1.0\\n"\n"X-Encore-Label: statutory\\n"'),
    )
    say = SHIPPED.with_folder(folder).phrases_for("fi")
    assert say.accept_label(Money(1161, "eur")) == "Tilaus velvoittaa maksamaan"


def test_the_acknowledgement_has_to_stand_in_the_header(folder: Path) -> None:
    drop(
        folder,
        "fi",
        ('"Buy now · {total}"', '"Osta"'),
        ('msgstr "Price"', 'msgstr ""\n"X-Encore-Label: statutory\\n"'),
    )
    assert len([problem for problem in problems(folder) if "accept is the order button" in problem]) == 1


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("Bought with {title.__class__}", "has to hold {title} and holds {title.__class__}"),
        ("Bought with {title[0]}", "has to hold {title} and holds {title[0]}"),
        ("Bought with {0}", "has to hold {title} and holds {0}"),
        ("Bought with {}", "has to hold {title} and holds {}"),
        ("Bought with {title!r}", "has to hold {title} and holds {title!r}"),
        ("Bought with {title:>999999999}", "has to hold {title} and holds {title:>999999999}"),
        ("Bought with {title} {title}", "has to hold {title} and holds {title} {title}"),
        ("Bought with {Title}", "has to hold {title} and holds {Title}"),
        ("Bought together", "has to hold {title} and holds no placeholder"),
        ("Bought with {{title}}", "has to hold {title} and holds no placeholder"),
    ],
)
def test_a_sentence_with_other_placeholders_is_refused(folder: Path, sentence: str, told: str) -> None:
    path = drop(folder, "de", ('"Oft zusammen gekauft mit {title}"', f'"{sentence}"'), copied="de")
    assert problems(folder) == [f"{path}: open.why {told}; use the placeholders of en.po."]


@pytest.mark.parametrize("sentence", ["Bought with {title", "Bought with title}"])
def test_a_brace_without_its_partner_is_refused(folder: Path, sentence: str) -> None:
    path = drop(folder, "de", ('"Oft zusammen gekauft mit {title}"', f'"{sentence}"'), copied="de")
    assert problems(folder) == [
        f"{path}: open.why has a brace without its partner; write {{{{ or }}}} for a brace that is meant."
    ]


def test_the_order_button_of_a_new_language_reaches_no_further_than_the_total(folder: Path) -> None:
    path = drop(folder, "fi", ('"Buy now · {total}"', '"Osta {total.__class__}"'))
    assert problems(folder) == [
        f"{path}: accept has to hold {{total}} and holds {{total.__class__}}; use the placeholders of en.po."
    ]


def test_a_sentence_that_turns_an_amount_around_is_refused(folder: Path) -> None:
    path = drop(folder, "fi", ('"Buy now · {total}"', '"Osta \u202e{total}"'), ('"Price"', '"Hi\\tnta"'))
    assert problems(folder) == [
        f"{path}: accept holds U+202E, which reorders text; take it out, Encore isolates values itself.",
        f"{path}: price.item holds the control character U+0009; take it out.",
    ]


def test_a_sentence_longer_than_a_card_is_refused(folder: Path) -> None:
    path = drop(folder, "fi", ('"Price"', f'"{"a" * (MAX_SENTENCE + 1)}"'))
    assert problems(folder) == [f"{path}: price.item has 501 characters; 500 are allowed."]


def test_markup_is_text_like_any_other(folder: Path) -> None:
    drop(folder, "de", ('"Noch etwas dazu?"', "'<b>Dazu?</b>'".replace("'", '"')), copied="de")
    assert SHIPPED.with_folder(folder).phrases_for("de")("open.heading") == "<b>Dazu?</b>"


def test_missing_sentences_are_named_and_counted(folder: Path) -> None:
    (folder / "fi.po").write_text('msgid ""\nmsgstr ""\n\nmsgid "accept"\nmsgstr "Osta · {total}"\n', encoding="utf-8")
    assert problems(folder) == [
        f"{folder / 'fi.po'}: has no sentence for accept_free, decline, leave, again, busy and "
        f"{len(CATALOGUES['en']) - 6} more; every key of en.po needs one."
    ]


@pytest.mark.parametrize("blank", ['""', '"   "', '"\u00a0"'])
def test_a_blank_sentence_is_missing(folder: Path, blank: str) -> None:
    path = drop(folder, "fi", ('"Price"', blank))
    assert problems(folder) == [f"{path}: has no sentence for price.item; every key of en.po needs one."]


def test_an_unknown_key_is_told_with_the_one_that_was_meant(folder: Path) -> None:
    path = drop(folder, "fi", ('msgid "price.item"', 'msgid "price.itme"'))
    assert problems(folder) == [
        f"{path}: has no sentence for price.item; every key of en.po needs one.",
        f"{path}: price.itme is not a key; did you mean price.item?",
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            'msgid "price.item"\n',
            'msgid "price.sum"\nmsgstr "twice"\n\nmsgid "price.item"\n',
            "has a key twice, or a msgctxt; keep each key once, without a context.",
        ),
        (
            'msgid "price.item"\n',
            '#, fuzzy\nmsgid "price.item"\n',
            "price.item is marked fuzzy; check the sentence and take the mark out.",
        ),
        (
            '"Language: fi\\n"',
            '"Language: sv\\n"',
            "says in its header that it is in sv; correct the header or the file's name.",
        ),
    ],
)
def test_what_gettext_allows_and_we_have_no_use_for_is_refused(folder: Path, old: str, new: str, told: str) -> None:
    path = drop(folder, "fi")
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    assert problems(folder) == [f"{path}: {told}"]


def test_plural_forms_are_refused(folder: Path) -> None:
    path = drop(
        folder,
        "fi",
        ('msgid "price.item"\nmsgstr "Price"', 'msgid "price.item"\nmsgid_plural "price.items"\nmsgstr[0] "Price"'),
    )
    assert f"{path}: price.item has plural forms; give it one sentence in which no number governs a noun." in problems(
        folder
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("klingon", "is named after no language Babel knows; name it like de.po or pt_BR.po."),
        ("x", "is named after no language Babel knows; name it like de.po or pt_BR.po."),
        ("..", "is named after no language Babel knows; name it like de.po or pt_BR.po."),
        ("root", "has to be named as Babel writes that language; name it root.po."),
        ("und", "has to be named as Babel writes that language; name it en_US.po."),
        ("DE", "has to be named as Babel writes that language; name it de.po."),
        ("zh_TW", "has to be named as Babel writes that language; name it zh_Hant_TW.po."),
        ("iw", "has to be named as Babel writes that language; name it he_IL.po."),
        ("no", "is named after Norwegian in general; name it nb.po or nn.po."),
    ],
)
def test_a_file_named_after_no_language_is_refused(folder: Path, name: str, told: str) -> None:
    path = drop(folder, name)
    assert problems(folder) == [f"{path}: {told}"]


def test_two_catalogues_of_one_locale_are_refused(folder: Path) -> None:
    drop(folder, "pt-BR", copied="pt")
    second = drop(folder, "pt_BR", copied="pt")
    assert problems(folder) == [f"{second}: there is another catalogue of pt_BR; keep one of them."]


def test_a_file_of_another_encoding_is_refused_whatever_its_header_claims(folder: Path) -> None:
    path = drop(folder, "de", ("charset=utf-8", "charset=iso-8859-1"), copied="de")
    assert SHIPPED.with_folder(folder).phrases_for("de").accept_label(Money(0, "eur")) == "Kostenlos hinzufügen"

    path.write_bytes(path.read_text(encoding="utf-8").encode("cp1252", errors="replace"))
    [problem] = problems(folder)
    assert problem.startswith(f"{path}: is not UTF-8 (byte ")
    assert problem.endswith("); save it as UTF-8.")


def test_a_byte_order_mark_is_read_over(folder: Path) -> None:
    path = drop(folder, "de", copied="de")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert SHIPPED.with_folder(folder).sentences["de"] == CATALOGUES["de"]


def test_a_file_larger_than_a_catalogue_is_refused(folder: Path) -> None:
    path = folder / "fi.po"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert problems(folder) == [f"{path}: is larger than 1000000 bytes; a catalogue has some 10,000."]


@pytest.mark.parametrize(
    "text",
    ["hello", '"hello"', 'msgid "a"\nmsgid "b"\n', 'msgstr[x] "a"', 'msgid "a"\nmsgstr "b', "\x00", 'msgstr "a"\n"b"'],
)
def test_a_file_that_is_no_catalogue_is_refused_by_its_name(folder: Path, text: str) -> None:
    path = folder / "fi.po"
    path.write_text(text, encoding="utf-8")
    assert all(problem.startswith(f"{path}: ") for problem in problems(folder))


def test_a_line_that_belongs_to_nothing_is_refused_in_a_catalogue_that_is_whole_without_it(folder: Path) -> None:
    path = drop(folder, "fi", ('msgid "price.item"', 'msgsrt "typo"\nmsgid "price.item"'))
    [problem] = problems(folder)
    assert problem.startswith(f"{path}: is not a .po file (PoFileError: ")


def test_a_pipe_that_nobody_fills_does_not_keep_the_app_waiting(folder: Path) -> None:
    os.mkfifo(folder / "fi.po")
    assert problems(folder) == [f"{folder / 'fi.po'}: is not a file."]


def test_every_wrong_file_is_named_at_once(folder: Path) -> None:
    drop(folder, "fi", ('"Price"', '""'))
    drop(folder, "klingon")
    drop(folder, "sv", ('"Nej tack"', '"Nej"'), copied="sv")
    assert [Path(problem.partition(": ")[0]).name for problem in problems(folder)] == ["fi.po", "klingon.po", "sv.po"]


def test_other_files_in_the_folder_are_left_alone(folder: Path) -> None:
    drop(folder, "fi")
    (folder / "README.txt").write_text("notes")
    (folder / "messages.pot").write_text("not read")
    assert set(SHIPPED.with_folder(folder).sentences) == {*CATALOGUES, "fi"}


def test_a_folder_that_is_none_or_empty_is_a_mistake_told_as_one(folder: Path) -> None:
    with pytest.raises(ConfigurationError) as empty:
        SHIPPED.with_folder(folder)
    with pytest.raises(ConfigurationError) as missing:
        SHIPPED.with_folder(folder / "gone")

    assert str(empty.value) == f"ENCORE_LOCALES names {folder}, which holds no .po file; add one, or remove the key."
    assert str(missing.value) == (
        f"ENCORE_LOCALES names {folder / 'gone'}, which is not a folder; make it, or remove the key."
    )


def test_what_shoppers_agree_to_is_digested_from_the_catalogues_in_use(folder: Path) -> None:
    def version(language: str, key: str, sentence: str) -> str:
        changed = {**CATALOGUES, language: {**CATALOGUES[language], key: sentence}}
        return Catalogues(sentences=changed).consent_version

    assert Catalogues(sentences=dict(reversed(CATALOGUES.items()))).consent_version == SHIPPED.consent_version
    assert version("de", "declined.heading", "Schade.") == SHIPPED.consent_version
    other = {
        SHIPPED.consent_version,
        version("de", "accept", "Kaufen"),
        version("de", "accept_free", "Gratis"),
        version("de", "price.total", "Summe"),
        version("sv", "open.method", "{card}"),
    }
    assert len(other) == 5

    drop(folder, "fi")
    assert SHIPPED.with_folder(folder).consent_version != SHIPPED.consent_version


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("plain", []),
        ("{b} {a}", ["a", "b"]),
        ("{{a}}", []),
        ("{a.b!r:>{c}}", ["a.b!r:>{c}"]),
        ("{", None),
        ("}", None),
    ],
)
def test_placeholders_are_read_with_everything_that_stands_in_their_braces(
    sentence: str, found: list[str] | None
) -> None:
    assert placeholders(sentence) == found
