"""Opens a merchant's CSV file: compression, encoding, delimiter, header, an account of the rows left out,
and one clear sentence when it is broken.

What the columns mean is decided in `services.importing`; this room knows only files.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar, cast

from flask_encore.domain.errors import InvalidInput

#: Tried in this order. UTF-8 refuses nearly every text that is not UTF-8; Windows-1252 is what spreadsheets write.
ENCODINGS = ("utf-8-sig", "cp1252")

#: Spreadsheets of some countries write ``;``; databases like tabs.
DELIMITERS = (",", ";", "\t")

#: A quoted title may break a few lines; one that runs on longer is a quotation mark that was never closed.
MAX_LINES_PER_ROW = 20

#: Progress is told once per this many rows: often enough for a smooth bar, too seldom to cost anything.
ROWS_PER_PROGRESS = 5_000

#: How many bad rows are listed; all of them are counted. Enough to see the pattern, short enough to read.
LISTED = 20

_GZIP_MAGIC = b"\x1f\x8b"

T = TypeVar("T")
Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns a kind of file has.

    Attributes:
        aliases: Name -> other headers accepted for it.
        required: Those that have to be there.
        families: Word -> the column it is another way to write: ``option:Size`` belongs to the family ``option``, and
            each file names its own members.
    """

    aliases: Mapping[str, Sequence[str]]
    required: frozenset[str]
    families: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One reading of a file, header understood.

    Attributes:
        width: Number of fields a row has to have.
        index: Column name -> position in a row, present columns only.
        aliases: Column name -> header it was found under, where that is another word.
        members: Column -> its members, as the header names them -> position in a row.
        missing: Optional columns the file does not have.
        notes: What was assumed to read the file (encoding, delimiter), a sentence each.
        rows: Line number where a row begins and its fields; blank lines are left out. Can be iterated once.
    """

    file: str
    width: int
    index: Mapping[str, int]
    aliases: Mapping[str, str]
    members: Mapping[str, Mapping[str, int]]
    missing: tuple[str, ...]
    delimiter: str
    notes: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One row that was left out: the line it begins on (the header is line 1) and the reason."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problems:
    """What a file left to be desired. ``rows == kept + bad + sum(not_sales.values())``.

    Attributes:
        rows: Rows in the file without its header and blank lines.
        bad: Rows that could not be understood.
        first: The first `LISTED` of the bad rows, in the order of the file.
        not_sales: Reason -> number of rows left out because they are no sale; empty for products.
        merged: Kept rows that repeat a product of their order; they became one line with the sum of quantities.
        blank: Column -> number of lines where it was blank.
        missing: Optional columns the file does not have.
        aliases: Column -> header it was found under.
        notes: What was assumed to read the file, a sentence each.
    """

    rows: int
    kept: int
    bad: int
    first: tuple[Problem, ...]
    not_sales: Mapping[str, int]
    merged: int
    blank: Mapping[str, int]
    missing: tuple[str, ...]
    aliases: Mapping[str, str]
    notes: tuple[str, ...]

    def sentences(self) -> list[str]:
        """The report as lines of text for a terminal, most important first; one line when all is well."""
        told = [f"{self.kept:,} of {_count(self.rows)} kept."]
        told += self.notes
        told += [f"Column {name!r} was read from {header!r}." for name, header in self.aliases.items()]
        told += [f"Column {name!r} is missing; it is left empty." for name in self.missing]
        if self.merged:
            told.append(f"{_count(self.merged)} merged: the product was in the order before, quantities added up.")
        told += [f"{_count(count)} without {name}." for name, count in self.blank.items()]
        told += [f"{_count(count)} left out, no sale: {reason}." for reason, count in self.not_sales.items()]
        if self.bad:
            shown = f", the first {LISTED}" if self.bad > LISTED else ""
            told.append(f"{_count(self.bad)} could not be used{shown}:")
            told += [f"  line {problem.line}: {problem.reason}" for problem in self.first]
        return told


@dataclass(slots=True)
class Tally:
    """Counts while a file is read; `done` freezes them."""

    table: Table
    rows: int = 0
    bad: int = 0
    first: list[Problem] = field(default_factory=list)
    not_sales: Counter[str] = field(default_factory=Counter)
    merged: int = 0
    blank: Counter[str] = field(default_factory=Counter)

    def reject(self, line: int, reason: str) -> None:
        """Count a bad row, and list it while there is room."""
        self.bad += 1
        if len(self.first) < LISTED:
            self.first.append(Problem(line=line, reason=reason))

    def done(self, *, kept: int, what: str) -> Problems:
        """The counts, frozen. Refuses a file of which nothing is left."""
        if not kept:
            why = f" The first: line {self.first[0].line}: {self.first[0].reason}" if self.first else ""
            raise InvalidInput(f"{self.table.file}: none of its {self.rows:,} rows is a usable {what}.{why}")
        blank = {name: count for name, count in self.blank.items() if count}
        return Problems(
            rows=self.rows,
            kept=kept,
            bad=self.bad,
            first=tuple(self.first),
            not_sales=dict(self.not_sales.most_common()),
            merged=self.merged,
            blank=blank,
            missing=self.table.missing,
            aliases=self.table.aliases,
            notes=self.table.notes,
        )


def _count(rows: int) -> str:
    return f"{rows:,} row" if rows == 1 else f"{rows:,} rows"


def read_table(path: Path, columns: Columns, consume: Callable[[Table], T], *, progress: Progress | None = None) -> T:
    """What *consume* makes of the file's `Table`.

    *consume* is called anew for each encoding tried, so it has to start from nothing each time.

    Args:
        path: A ``.csv`` or gzip-compressed file; compression is told by its first bytes, not by its name.
        progress: Hears the fraction of bytes read, 0 to 1.

    Raises:
        InvalidInput: Naming the file, the line and the fix, when the file cannot be read as a table.
    """
    for encoding in ENCODINGS:
        try:
            with _opened(path, encoding, progress) as (text, tell):
                return consume(_table(path.name, text, tell, encoding, columns))
        except UnicodeDecodeError:
            continue
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InvalidInput(
                f"{path.name}: the compressed file is cut off or damaged ({error}); copy it again."
            ) from error
        except OSError as error:
            raise InvalidInput(f"{path.name}: cannot be opened ({error.strerror or error}).") from error
    raise InvalidInput(f"{path.name}: is neither UTF-8 nor Windows-1252 text; save it as CSV in UTF-8.")


@contextmanager
def _opened(path: Path, encoding: str, progress: Progress | None) -> Iterator[tuple[IO[str], Callable[[], None]]]:
    """The file as text, and a function that tells *progress* how much of its bytes was read."""
    with ExitStack() as stack:
        raw = stack.enter_context(path.open("rb"))
        size = max(raw.seek(0, io.SEEK_END), 1)
        raw.seek(0)
        compressed = raw.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        raw.seek(0)
        binary = stack.enter_context(gzip.GzipFile(fileobj=raw)) if compressed else raw
        text = stack.enter_context(io.TextIOWrapper(cast(IO[bytes], binary), encoding=encoding, newline=""))

        def tell() -> None:
            if progress is not None:
                progress(min(raw.tell() / size, 1.0))

        yield text, tell


def _table(name: str, file: IO[str], tell: Callable[[], None], encoding: str, columns: Columns) -> Table:
    text = _without_nul(name, file)
    first = next(text, "")
    if not first.strip():
        raise InvalidInput(f"{name}: line 1 is empty; the file has to begin with a header line.")
    delimiter = max(DELIMITERS, key=first.count)
    header = [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter))]
    index, aliases = _match(header, columns)
    members = _members(header, columns)
    lacking = sorted(columns.required - index.keys())
    if lacking:
        accepted = "; ".join(f"{column} (or {', '.join(columns.aliases[column])})" for column in lacking)
        raise InvalidInput(f"{name}, line 1: a column is missing: {accepted}. The header has: {', '.join(header)}.")
    notes = []
    if encoding != ENCODINGS[0]:
        notes.append("The file is not UTF-8; it was read as Windows-1252.")
    if delimiter != DELIMITERS[0]:
        notes.append(f"Fields are separated by {'tabs' if delimiter == chr(9) else repr(delimiter)}.")
    return Table(
        file=name,
        width=len(header),
        index=index,
        aliases=aliases,
        members=members,
        missing=tuple(column for column in columns.aliases if column not in index and column not in members),
        delimiter=delimiter,
        notes=tuple(notes),
        rows=_rows(name, text, delimiter, tell),
    )


def _match(header: Sequence[str], columns: Columns) -> tuple[dict[str, int], dict[str, str]]:
    """Position of each known column, its own name before any alias."""
    plain = {_plain(cell): position for position, cell in reversed(list(enumerate(header)))}
    index: dict[str, int] = {}
    aliases: dict[str, str] = {}
    for column, others in columns.aliases.items():
        found = next((word for word in (column, *others) if _plain(word) in plain), None)
        if found is not None:
            index[column] = plain[_plain(found)]
            if _plain(found) != _plain(column):
                aliases[column] = header[index[column]]
    return index, aliases


def _members(header: Sequence[str], columns: Columns) -> dict[str, dict[str, int]]:
    """Position of each member of a family, the first of a name; families without one are absent."""
    found: dict[str, dict[str, int]] = {}
    for position, cell in enumerate(header):
        word, colon, name = cell.partition(":")
        column = columns.families.get(_plain(word)) if colon else None
        if column is not None and name.strip():
            found.setdefault(column, {}).setdefault(name.strip(), position)
    return found


def _plain(word: str) -> str:
    return "".join(character for character in word.lower() if character.isalnum())


def _without_nul(name: str, lines: Iterable[str]) -> Iterator[str]:
    """*lines*, refusing NUL characters: they are the mark of UTF-16, of a database dump or of a damaged disk."""
    for number, line in enumerate(lines, start=1):
        if "\0" in line:
            raise InvalidInput(
                f"{name}, line {number}: holds NUL bytes, so it is not plain text (perhaps UTF-16); "
                "save it as CSV in UTF-8."
            )
        yield line


def _rows(name: str, lines: Iterator[str], delimiter: str, tell: Callable[[], None]) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    begin, until_progress = 2, ROWS_PER_PROGRESS  # line 1 was the header
    try:
        for fields in reader:
            after = reader.line_num + 2
            if after - begin > MAX_LINES_PER_ROW:
                raise InvalidInput(_unclosed(name, begin))
            if fields:
                yield begin, fields
            begin = after
            until_progress -= 1
            if not until_progress:
                tell()
                until_progress = ROWS_PER_PROGRESS
    except csv.Error as error:
        if "end of data" in str(error) or "field limit" in str(error):
            raise InvalidInput(_unclosed(name, begin)) from error
        raise InvalidInput(
            f'{name}, line {begin}: a quotation mark stands in the wrong place; double it ("") inside a quoted field.'
        ) from error
    tell()


def _unclosed(name: str, line: int) -> str:
    return f'{name}, line {line}: a quotation mark is opened and never closed; close it, or double it ("") inside text.'
