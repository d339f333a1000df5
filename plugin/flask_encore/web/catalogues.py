"""Catalogues, ``<language>.po``: read by Babel as they are, and refused with everything that is wrong at once.

Ours are read at import, a merchant's in ``init_app``. A sentence is data: it is escaped where it is shown, and its only
placeholders are the names the English one has, so nothing in a file can reach further than the text it becomes.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from string import Formatter

from babel import Locale, UnknownLocaleError
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from flask_encore.domain.errors import ConfigurationError
from flask_encore.web import labels

LOCALES = Path(__file__).parent.parent / "locales"

#: The catalogue that names the keys and the placeholders, and what is spoken when a language is not among ours.
FALLBACK = "en"

#: Whose catalogue readers of a language without one read well: "no" is what older software calls "nb".
READ_AS = {"no": "nb", "nn": "nb"}

#: Ours are 10 kB each; a hundred times that is no catalogue of these sentences.
MAX_BYTES = 1_000_000
#: The longest of ours has 190 characters, and the card has 320 px.
MAX_SENTENCE = 500

#: The line of a catalogue's header by which a merchant says that a law wants the order button to stand alone.
_STATUTORY = re.compile(r'^"X-Encore-Label: *statutory *(\\n)?"', re.MULTILINE)
_MESSAGE = re.compile(r"^msgid\b", re.MULTILINE)

#: Embeddings, overrides and isolates: one of them in an order button can turn its amount around.
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

Sentences = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """What stands in one ``.po``, before anybody judged it.

    Attributes:
        name: Of the locale, as Babel writes it (``pt_BR``).
        language: Whose locked labels hold (``pt``).
        statutory: The header acknowledges an order button without its total.
    """

    name: str
    language: str
    sentences: Sentences
    statutory: bool
    doubts: tuple[str, ...]


class _Unreadable(Exception):
    """The file cannot be read as a catalogue; the message says why and what to do."""


def read_shipped(folder: Path = LOCALES) -> dict[str, Sentences]:
    """Language -> key -> sentence, of our own catalogues.

    Raises:
        ConfigurationError: When one is incomplete, or a label in it is not the one `labels.LOCKED` holds.
    """
    paths = sorted(folder.glob("*.po"), key=lambda path: (path.stem != FALLBACK, path.stem))
    original = _read(paths[0]).sentences
    return _read_all(paths, original, told="Encore's own catalogues are damaged; install it anew")


def read_dropped(folder: Path, *, original: Sentences) -> dict[str, Sentences]:
    """Locale -> key -> sentence, of a merchant's ``*.po`` in *folder*; *original* is the English catalogue.

    Raises:
        ConfigurationError: Naming every file and key that cannot be used, each with its fix.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"ENCORE_LOCALES names {folder}, which is not a folder; make it, or remove the key.")
    paths = sorted(folder.glob("*.po"))
    if not paths:
        raise ConfigurationError(f"ENCORE_LOCALES names {folder}, which holds no .po file; add one, or remove the key.")
    return _read_all(paths, original, told="The catalogues of ENCORE_LOCALES cannot be used")


def placeholders(sentence: str) -> list[str] | None:
    """What stands in braces, sorted, conversions and formats included; ``None`` when the braces do not match."""
    try:
        return sorted(
            name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            for _, name, spec, conversion in Formatter().parse(sentence)
            if name is not None
        )
    except ValueError:
        return None


def _read_all(paths: list[Path], original: Sentences, *, told: str) -> dict[str, Sentences]:
    found: dict[str, Sentences] = {}
    problems: list[str] = []
    for path in paths:
        try:
            file = _read(path)
        except _Unreadable as error:
            problems.append(f"{path}: {error}")
            continue
        if file.name in found:
            problems.append(f"{path}: there is another catalogue of {file.name}; keep one of them.")
        problems.extend(f"{path}: {problem}" for problem in _problems(file, original))
        found[file.name] = file.sentences
    if problems:
        raise ConfigurationError("\n  ".join([f"{told}:", *problems]))
    return found


def _read(path: Path) -> _File:
    locale = _locale(path.stem)
    text = _text(path)
    try:
        # Given as text: the charset a header claims is not asked.
        catalog = read_po(StringIO(text), locale=locale, abort_invalid=True)
    except Exception as error:  # Babel raises whatever a broken line makes it stumble over
        raise _Unreadable(f"is not a .po file ({type(error).__name__}: {error}).") from error
    header = "".join(_MESSAGE.split(text)[:2])
    sentences = {str(entry.id): str(entry.string) for entry in catalog if entry.id and not isinstance(entry.id, tuple)}
    return _File(
        name=str(locale),
        language=locale.language,
        sentences=sentences,
        statutory=_STATUTORY.search(header) is not None,
        doubts=tuple(_doubts(catalog, text, locale)),
    )


def _locale(stem: str) -> Locale:
    tag = stem.replace("-", "_")
    try:
        locale = Locale.parse(tag)
    except (UnknownLocaleError, ValueError, TypeError) as error:
        raise _Unreadable("is named after no language Babel knows; name it like de.po or pt_BR.po.") from error
    if locale.language == "no":  # the same language as "nb", whose labels are locked
        raise _Unreadable("is named after Norwegian in general; name it nb.po or nn.po.")
    if str(locale) != tag or tag == "root":
        raise _Unreadable(f"has to be named as Babel writes that language; name it {locale}.po.")
    return locale


def _text(path: Path) -> str:
    if not path.is_file():  # a named pipe would keep the app waiting
        raise _Unreadable("is not a file.")
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise _Unreadable(f"is larger than {MAX_BYTES} bytes; a catalogue has some 10,000.")
    try:
        return raw.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        raise _Unreadable(f"is not UTF-8 (byte {error.start}); save it as UTF-8.") from error


def _doubts(catalog: Catalog, text: str, locale: Locale) -> Iterator[str]:
    """What gettext allows in a ``.po`` and a catalogue of ours has no use for."""
    said = (catalog.locale_identifier or str(locale)).replace("-", "_")
    if said.lower() != str(locale).lower():
        yield f"says in its header that it is in {said}; correct the header or the file's name."
    if len(_MESSAGE.findall(text)) != len(catalog) + 1:  # the header is a message too
        yield "has a key twice, or a msgctxt; keep each key once, without a context."
    for entry in catalog:
        if entry.id and isinstance(entry.id, tuple):
            yield f"{entry.id[0]} has plural forms; give it one sentence in which no number governs a noun."
        elif entry.id and entry.fuzzy:
            yield f"{entry.id} is marked fuzzy; check the sentence and take the mark out."


def _problems(file: _File, original: Sentences) -> Iterator[str]:
    yield from file.doubts
    missing = [key for key in original if not file.sentences.get(key, "").strip()]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        yield f"has no sentence for {', '.join(missing[:5])}{more}; every key of en.po needs one."
    for key in file.sentences.keys() - original.keys():
        near = difflib.get_close_matches(key, original, n=1)
        yield f"{key} is not a key" + (f"; did you mean {near[0]}?" if near else "; remove it.")
    fixed = labels.locked(file.language)
    for key, sentence in file.sentences.items():
        if key in missing or key not in original:
            continue
        if key in fixed:
            if sentence != fixed[key]:
                yield f"{key} is a locked label and has to be “{fixed[key]}”; put that back."
        elif key == "accept":
            yield from _label(file, sentence)
        else:
            yield from _placeholder_problem(key, sentence, placeholders(original[key]) or [])
        yield from _letters(key, sentence)


def _label(file: _File, sentence: str) -> Iterator[str]:
    """The order button of a language we do not ship: the merchant's own words, with the total or a law behind them."""
    if placeholders(sentence) == [] and not file.statutory:
        yield (
            "accept is the order button and has to hold {total}; if your law allows nothing beside its own words, say "
            'so in the header: "X-Encore-Label: statutory\\n".'
        )
    elif placeholders(sentence) not in ([], ["total"]):
        yield from _placeholder_problem("accept", sentence, ["total"])


def _placeholder_problem(key: str, sentence: str, wanted: list[str]) -> Iterator[str]:
    found = placeholders(sentence)
    if found is None:
        yield f"{key} has a brace without its partner; write {{{{ or }}}} for a brace that is meant."
    elif found != wanted:
        yield f"{key} has to hold {_braced(wanted)} and holds {_braced(found)}; use the placeholders of en.po."


def _braced(names: list[str]) -> str:
    return " ".join(f"{{{name}}}" for name in names) or "no placeholder"


def _letters(key: str, sentence: str) -> Iterator[str]:
    if len(sentence) > MAX_SENTENCE:
        yield f"{key} has {len(sentence)} characters; {MAX_SENTENCE} are allowed."
    for letter in dict.fromkeys(sentence):
        if letter in _REORDERING:
            yield f"{key} holds U+{ord(letter):04X}, which reorders text; take it out, Encore isolates values itself."
        elif unicodedata.category(letter) in {"Cc", "Zl", "Zp"}:
            yield f"{key} holds the control character U+{ord(letter):04X}; take it out."
