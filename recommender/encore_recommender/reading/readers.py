"""Order histories from CSV, Parquet, Arrow, DataFrames and SQL, each as `Lines`.

That is what was sold, its prices, and a report that accounts for every row. `Baskets.from_csv` and its siblings make
baskets of them. pyarrow is imported where it is used; pandas and polars never are.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import tzinfo
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from encore_recommender.reading.cells import shown
from encore_recommender.reading.headers import Unreadable, matched
from encore_recommender.reading.lines import Column, Growing, Lines, Source, understood

#: Spreadsheets of some countries write `;`, databases like tabs.
DELIMITERS = (",", ";", "\t", "|")

#: Rows taken at a time: few enough to keep memory flat, enough to cost nothing.
AT_ONCE = 2_000

#: Notes may be long; what is longer still is a quotation mark that was never closed.
LONGEST_FIELD = 1 << 24

#: A quoted note may break many lines; a field that swallows more than these was never closed.
MAX_LINES_PER_ROW = 200

_GZIP_MAGIC = b"\x1f\x8b"
_NO_TEXT = {
    b"PK\x03\x04": "a spreadsheet or an archive, not CSV; open it and save it as CSV in UTF-8",
    b"\xd0\xcf\x11\xe0": "a spreadsheet of old, not CSV; open it and save it as CSV in UTF-8",
    b"PAR1": "Parquet, not CSV; its name has to end with .parquet, in Python use from_parquet",
}
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")

Progress = Callable[[float], None]


class How(TypedDict, total=False):
    """How cells are understood; see `lines.understood`."""

    zone: tzinfo
    """Of times that name none; UTC."""
    day_first: bool | None
    """Whether 1/2/2011 is 1 February; None lets the other dates settle it."""
    not_products: Collection[str]
    """SKUs or titles to leave out, besides postage, fees and the like."""
    strict: bool
    """Refuse the source for its first bad row, instead of counting and naming it."""


def read_csv(
    source: Path | str | IO[bytes],
    *,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    progress: Progress | None = None,
    **how: Unpack[How],
) -> Lines:
    """Read a CSV file with a header, plain or compressed by gzip, one line per product and order.

    Args:
        source: A path, or an open binary file, which stays open.
        columns: Field of `headers.FIELDS` -> header, where it would not be found; an empty header leaves a field out.
        encoding: UTF-8 with or without a mark, or UTF-16 with one, unless said.
        delimiter: Told by the header unless said.
        progress: Told the share of the file read, 0 to 1; not told of a pipe.
        **how: See `How`.

    Raises:
        Unreadable: The file is empty, damaged, in another encoding, lacks a column, or (`strict`) has a bad row.
        OSError: It cannot be opened or read.
    """
    name = str(getattr(source, "name", "CSV")) if not isinstance(source, (str, Path)) else Path(source).name
    with ExitStack() as stack:
        try:
            text, tell = _opened(stack, source, name, encoding, progress)
            found = _csv_source(name, text, columns, delimiter, tell)
        except UnicodeDecodeError as error:
            near = error.object[max(error.start - 12, 0) : error.end + 12].decode("latin-1")
            raise Unreadable(
                f"{name} is not {error.encoding.upper()} (near {shown(near)}); save it as CSV in UTF-8, or say "
                "encoding='cp1252', on the command line --encoding cp1252"
            ) from None
        except LookupError:
            raise Unreadable(f"there is no encoding {encoding!r}; utf-8, cp1252 and latin-1 are common") from None
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise Unreadable(f"{name} is compressed and cut off or damaged ({error}); copy it again") from None
    return understood(found, **how)


def read_parquet(path: Path | str, *, columns: Mapping[str, str] | None = None, **how: Unpack[How]) -> Lines:
    """Read a Parquet file or a folder of them; only the columns needed. Needs pyarrow; arguments as in `read_csv`.

    Raises:
        Unreadable: It is not Parquet, lacks a column, or (`strict`) has a bad row.
        OSError: It cannot be read.
        ModuleNotFoundError: pyarrow is missing.
    """
    import pyarrow
    import pyarrow.dataset

    name = Path(path).name
    try:
        data = pyarrow.dataset.dataset(str(path), format="parquet")
        headers = data.schema.names
        at = matched(headers, columns, source=name)
        table = data.to_table(columns=sorted({headers[position] for position in at.values()}))
    except pyarrow.ArrowInvalid as error:
        raise Unreadable(f"{name} is not Parquet, or damaged: {str(error).splitlines()[0]}") from None
    return understood(_arrow_source(name, table, {field: headers[position] for field, position in at.items()}), **how)


def read_arrow(table: Any, *, columns: Mapping[str, str] | None = None, **how: Unpack[How]) -> Lines:
    """Read a pyarrow Table, RecordBatch or reader, or anything that exports an Arrow stream. Needs pyarrow.

    Raises:
        Unreadable: It lacks a column or (`strict`) has a bad row.
        ModuleNotFoundError: pyarrow is missing.
    """
    import pyarrow

    if isinstance(table, pyarrow.RecordBatchReader):
        table = table.read_all()
    elif not isinstance(table, pyarrow.Table):
        table = pyarrow.table(table)
    headers = table.column_names
    at = matched(headers, columns, source="the table")
    return understood(_arrow_source("the table", table, {name: headers[i] for name, i in at.items()}), **how)


def read_dataframe(frame: Any, *, columns: Mapping[str, str] | None = None, **how: Unpack[How]) -> Lines:
    """Read a pandas or polars DataFrame, or any table with an Arrow stream or the interchange protocol.

    pandas and polars need nothing else installed; other tables need pyarrow.

    Raises:
        Unreadable: It is not a table, lacks a column, or (`strict`) has a bad row.
        ModuleNotFoundError: pyarrow is needed and missing.
    """
    if not hasattr(frame, "columns") or not hasattr(frame, "__getitem__"):
        if hasattr(frame, "__arrow_c_stream__"):
            return read_arrow(frame, columns=columns, **how)
        if hasattr(frame, "__dataframe__"):
            from pyarrow import interchange

            return read_arrow(interchange.from_dataframe(frame), columns=columns, **how)
        raise Unreadable(f"a {type(frame).__name__} is not a DataFrame; for rows there is from_sql")
    headers = [str(header) for header in frame.columns]
    at = matched(headers, columns, source="the DataFrame")
    try:
        found = {name: _series(frame, position) for name, position in at.items()}
    except TypeError as error:
        raise Unreadable(f"the DataFrame has a cell that is not a single value ({error})") from None
    return understood(_rows_source("the DataFrame", found, {name: headers[i] for name, i in at.items()}), **how)


def read_sql(
    rows: Any,
    *,
    names: Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
    **how: Unpack[How],
) -> Lines:
    """Read what a query found: a DB-API cursor after `execute`, a SQLAlchemy result, or any iterable of rows.

    Args:
        rows: Read to its end, and not closed.
        names: The columns' names, where neither cursor nor rows know them.
        columns: As in `read_csv`.
        **how: See `How`.

    Raises:
        Unreadable: The names are unknown, a column is missing, rows differ in length, or (`strict`) a row is bad.
    """
    every = iter(rows)
    first = next(every, None)
    headers = _names(rows, first, names)
    at = matched(headers, columns, source="the query")
    growing = {name: Growing() for name in at}
    if isinstance(first, Mapping):
        keys = list(first)
        every = ([row[key] for key in keys] for row in chain([first], every))
    elif first is not None:
        every = chain([first], every)
    seen = 0
    while part := list(islice(every, AT_ONCE)):
        for number, row in enumerate(part, start=seen + 1):
            if len(row) != len(headers):
                raise Unreadable(f"row {number} has {len(row)} values, there are {len(headers)} columns")
        for name, position in at.items():
            try:
                growing[name].extend([row[position] for row in part])
            except TypeError as error:
                raise Unreadable(f"the {name} has a value that is not a single one ({error})") from None
        seen += len(part)
    found = {name: column.done() for name, column in growing.items()}
    return understood(_rows_source("the query", found, {name: headers[i] for name, i in at.items()}), **how)


def _opened(
    stack: ExitStack, source: Path | str | IO[bytes], name: str, encoding: str | None, progress: Progress | None
) -> tuple[IO[str], Callable[[], None]]:
    """The file as text, and a function that tells *progress* how much of its bytes was read."""
    raw: Any = source
    size = 0
    if isinstance(source, (str, Path)):
        raw = stack.enter_context(Path(source).open("rb"))  # noqa: SIM115 (the stack closes it)
        size = Path(source).stat().st_size
    binary: Any = raw
    if not hasattr(raw, "peek"):
        binary = io.BufferedReader(raw)
        stack.callback(binary.detach)  # left alone, it would close a file that is not ours; so would the text
    first = bytes(binary.peek(4)[:4])
    if first in _NO_TEXT:
        raise Unreadable(f"{name} is {_NO_TEXT[first]}")
    if first[:2] == _GZIP_MAGIC:
        binary = stack.enter_context(gzip.GzipFile(fileobj=binary))
    guessed = "utf-16" if binary.peek(2)[:2] in _UTF_16 else "utf-8-sig"
    text = io.TextIOWrapper(binary, encoding=encoding or guessed, newline="")
    stack.callback(text.detach)

    def tell() -> None:
        if progress is not None and size:
            progress(min(raw.tell() / size, 1.0))

    return text, tell


def _csv_source(
    name: str, text: IO[str], columns: Mapping[str, str] | None, delimiter: str | None, tell: Callable[[], None]
) -> Source:
    if csv.field_size_limit() < LONGEST_FIELD:
        csv.field_size_limit(LONGEST_FIELD)  # one number for the process; it only ever grows
    first = next(text, "")
    if not first.strip():
        raise Unreadable(f"{name} is empty; it has to begin with a header line such as order_id,sku,quantity")
    if "\0" in first:
        raise Unreadable(f"{name} holds NUL bytes, so it is no plain text (perhaps UTF-16); save it as CSV in UTF-8")
    mark = delimiter or max(DELIMITERS, key=lambda each: len(next(csv.reader([first], delimiter=each))))
    reader = csv.reader(chain([first], text), delimiter=mark, strict=True)
    try:
        headers = [header.strip() for header in next(reader)]
    except csv.Error:
        raise Unreadable(f"{name}, line 1: a quotation mark of the header is never closed, or not doubled") from None
    at = matched(headers, columns, source=name)
    growing = {field: Growing() for field in at}
    numbers: list[NDArray[np.int64]] = []
    broken: list[tuple[int, str, str]] = []
    for starts, rows in _rows(name, reader, len(headers), broken):
        every = list(zip(*rows, strict=True))
        for field, position in at.items():
            growing[field].extend(every[position] if every else ())
        numbers.append(starts)
        tell()
    return Source(
        name=name,
        row_word="line",
        headers={field: headers[position] for field, position in at.items()},
        columns={field: column.done() for field, column in growing.items()},
        numbers=np.concatenate(numbers) if numbers else np.zeros(0, dtype=np.int64),
        broken=broken,
        notes=() if mark == "," else (f"Fields are separated by {'tabs' if mark == chr(9) else repr(mark)}.",),
    )


def _rows(
    name: str, reader: Any, width: int, broken: list[tuple[int, str, str]]
) -> Iterator[tuple[NDArray[np.int64], list[list[str]]]]:
    """Whole rows some at a time, with the lines they begin on; what is no row goes to *broken*."""
    while True:
        begin, rows, problem = reader.line_num + 1, list[list[str]](), ""
        try:
            rows.extend(islice(reader, AT_ONCE))
        except csv.Error as error:
            problem = str(error)
        if not rows and not problem:
            return
        starts = np.arange(begin, begin + len(rows))
        if problem or reader.line_num - begin + 1 != len(rows):
            breaks = [1 + sum(len(_LINE_BREAK.findall(cell)) for cell in row) for row in rows]
            starts = begin + np.cumsum([0, *breaks])
            _check_closed(name, starts.tolist(), reader.line_num if problem else 0, problem)
            lost = range(int(starts[-1]), reader.line_num + 1) if problem else ()
            broken += [
                (line, "a quotation mark is not closed, or not doubled", f"in line {reader.line_num}") for line in lost
            ]
            starts = starts[:-1]
        whole = [len(row) == width and any(row) for row in rows]
        if not all(whole):
            for i, row in enumerate(rows):
                if not whole[i] and any(map(str.strip, row)):
                    whole[i] = len(row) > width and not any(map(str.strip, row[width:]))
                    if not whole[i]:
                        broken.append((int(starts[i]), f"fields, where the header has {width}", f"{len(row)} fields"))
            rows = [row[:width] for row, good in zip(rows, whole, strict=True) if good]
            starts = starts[np.array(whole, dtype=np.bool_)]
        yield starts, rows


def _check_closed(name: str, starts: Sequence[int], failed_at: int, problem: str) -> None:
    """Refuse a file in which a quotation mark swallows what follows: nobody can say how many rows are lost."""
    ends = [*starts[1:], *([failed_at + 1] if failed_at else [])]
    for start, end in zip(starts, ends, strict=False):
        if end - start > MAX_LINES_PER_ROW or (
            end == failed_at + 1 and ("end of data" in problem or "limit" in problem)
        ):
            raise Unreadable(
                f'{name}, line {start}: a quotation mark is opened and never closed; close it, or double it ("") '
                "inside text"
            )


def _arrow_source(name: str, table: Any, headers: Mapping[str, str]) -> Source:
    columns = {field: _arrow_column(table.column(header)) for field, header in headers.items()}
    return _rows_source(name, columns, headers)


def _arrow_column(column: Any) -> Column:
    import pyarrow
    from pyarrow import compute

    kind = column.type
    if pyarrow.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    if pyarrow.types.is_timestamp(kind):
        # Nanoseconds would come out as pandas' timestamps, or not at all.
        column = compute.cast(column, pyarrow.timestamp("us", tz=kind.tz), safe=False)
    if pyarrow.types.is_nested(kind):
        raise Unreadable(f"a column of {kind} has no single values")
    whole = column.combine_chunks().dictionary_encode()
    if isinstance(whole, pyarrow.ChunkedArray):  # combine_chunks keeps what has no chunk at all
        return Column((), np.zeros(0, dtype=np.int64))
    codes = compute.fill_null(whole.indices, -1).to_numpy(zero_copy_only=False)
    return Column(whole.dictionary.to_pylist(), codes.astype(np.int64))


def _series(frame: Any, position: int) -> Column:
    if hasattr(frame, "iloc"):
        codes, values = frame.iloc[:, position].factorize()
        return Column(values.tolist(), np.asarray(codes, dtype=np.int64))
    growing = Growing()
    growing.extend(frame[frame.columns[position]].to_list())
    return growing.done()


def _rows_source(name: str, columns: Mapping[str, Column], headers: Mapping[str, str]) -> Source:
    n = len(next(iter(columns.values())).codes)
    return Source(name=name, row_word="row", headers=headers, columns=columns, numbers=np.arange(1, n + 1))


def _names(rows: Any, first: Any, names: Sequence[str] | None) -> list[str]:
    if names is not None:
        return list(names)
    if getattr(rows, "description", None):
        return [str(column[0]) for column in rows.description]
    for each in (rows, first):
        if not isinstance(each, dict) and callable(getattr(each, "keys", None)):
            return [str(key) for key in each.keys()]  # noqa: SIM118 (a row of sqlite3 iterates its values)
    if isinstance(first, Mapping):
        return [str(key) for key in first]
    raise Unreadable("the rows do not say what their columns are; pass names=['order_id', 'sku', …]")
