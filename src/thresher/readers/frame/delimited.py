"""Reads CSV and its kin: by pyarrow where a file is regular, else by Python's csv, which also says in which line."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from thresher.errors import DataError
from thresher.readers.base import Mistakes
from thresher.readers.frame.files import read_text
from thresher.readers.frame.frame import Frame
from thresher.readers.frame.names import check_names
from thresher.readers.frame.numbers import PLAIN
from thresher.readers.frame.records import Records, find_records
from thresher.readers.warn_once import warn

FIX_ROW = "correct the line, or 'delimiter', 'columns' and 'header' in the catalog."
FIX_QUOTE = "correct the line, or its quotes; where quotes have no meaning, write 'quote: none' in the catalog."
DELIMITERS = {";": '";"', "\t": '"\\t"', "|": '"|"', ",": '","'}
"""What may stand between values -> as YAML writes it."""
SEP = re.compile(r"sep=(.?)")
BLANKS = (b" ", b"\t", b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x1f")
"""What may stand around a value of ASCII, besides the ends of lines, and is left out by ``strip``."""
BLOCK = 1 << 20
"""Bytes that pyarrow parses at a time; no record may be longer."""


@dataclass(frozen=True)
class CsvFormat:
    """How a file of separated values is written."""

    header: bool = True
    names: Sequence[str] | None = None
    """The names of the columns where the file has no header, or in place of its header."""
    delimiter: str | None = None
    """Between values; None for what the file's suffix says."""
    quote: str | None = '"'
    """Around values that hold a delimiter or a line's end; None where quotes have no meaning."""
    encoding: str = "utf-8"
    comment: str | None = None
    """What begins a line that is left out."""
    strip: bool = True


def read_separated(path: Path, form: CsvFormat, fix: str) -> Frame:
    """Return the columns of the CSV file at ``path``, all of text; ``form`` names the delimiter.

    Raises:
        DataError: no such file, bytes of another encoding, rows of unequal length, quotes that are not closed, columns
            of one name; with the lines.
    """
    assert form.delimiter is not None
    text = read_text(path, form.encoding, fix)
    content = text.encode("utf-8", "surrogatepass")
    quote, comment = ((value or "").encode() or None for value in (form.quote, form.comment))
    # pyarrow takes delimiters of ASCII alone.
    records = find_records(content, form.delimiter.encode(), quote, comment) if form.delimiter.isascii() else None
    return _read_regular(path, form, content, records) or _read_by_row(path, form, text)


def _read_regular(path: Path, form: CsvFormat, content: bytes, records: Records | None) -> Frame | None:
    """Return the columns by pyarrow; None where it would not say what is wrong, or in which line."""
    if records is None or not len(records):
        return None
    line = _text_lines(content[records.starts[0] : records.ends[0]].decode())
    first = next(csv.reader(line, **csv_dialect(str(form.delimiter), form.quote, form.strip)))
    names, hint = name_columns(path, form, first)
    skipped = int(form.header)
    columns = parse_columns(
        records.join(content, skipped), len(names), form, int((records.ends - records.starts).max())
    )
    if columns is None or len(columns[0]) != len(records) - skipped:
        return None
    name = path.name
    places = np.array([f"{name}:{line}" for line in records.lines[skipped:].tolist()], dtype=object)
    return _frame(path, names, columns, places, hint)


def parse_columns(content: bytes, num_columns: int, form: CsvFormat, longest: int) -> list[Any] | None:
    import pyarrow as pa
    from pyarrow import compute, csv

    if not content:
        return [pa.array([], pa.large_string())] * num_columns
    names = [str(number) for number in range(num_columns)]
    try:
        table = csv.read_csv(
            pa.BufferReader(content),
            read_options=csv.ReadOptions(column_names=names, block_size=max(BLOCK, longest + 2)),
            parse_options=csv.ParseOptions(
                delimiter=form.delimiter, quote_char=form.quote or False, newlines_in_values=form.quote is not None
            ),
            convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, pa.large_string()), check_utf8=False),
        )
    except pa.ArrowException:
        return None
    columns = [column.combine_chunks() for column in table.columns]
    has_blanks = form.strip and _may_have_blanks(content, form.quote)
    return [compute.utf8_trim_whitespace(column) for column in columns] if has_blanks else columns


def _may_have_blanks(content: bytes, quote: str | None) -> bool:
    """Return whether values of ``content`` may begin or end with blanks; much faster than to look at each value."""
    if quote is not None and quote.encode() in content:
        return True  # also the ends of lines
    returns = content.count(b"\r") > content.count(b"\r\n")
    return returns or not content.isascii() or any(blank in content for blank in BLANKS)


def _read_by_row(path: Path, form: CsvFormat, text: str) -> Frame:
    import pyarrow as pa

    rows = _rows(path, form, text)
    head = next(rows, (0, []))
    names, hint = name_columns(path, form, head[1])
    values: list[list[str]] = [[] for _ in names]
    places, mistakes = [], Mistakes()
    for line, row in rows if form.header or not head[1] else chain([head], rows):
        if len(row) != len(names):
            mistakes.add(f"{path}:{line}", f"{len(row)} values, but {len(names)} columns", hint or FIX_ROW)
            continue
        places.append(f"{path.name}:{line}")
        for column, value in zip(values, row, strict=True):
            column.append(value.strip() if form.strip else value)
    mistakes.refuse()
    columns = [pa.array(column, pa.large_string()) for column in values]
    return _frame(path, names, columns, np.array(places, dtype=object), hint)


def _rows(path: Path, form: CsvFormat, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the line it begins in; empty lines and comments are left out."""
    comments = Comments(_text_lines(text), form.comment)
    reader = csv.reader(comments, strict=True, **csv_dialect(str(form.delimiter), form.quote, form.strip))
    begin = 1
    with fields_of_any_size():
        while True:
            comments.at_row = True
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                first = next((line for line in text.splitlines() if line.strip()), "")
                hint = other_delimiter(first, str(form.delimiter))
                raise DataError(f"{path}:{begin}: {error}. Fix: {hint or FIX_QUOTE}") from error
            if row:
                yield begin, row
            begin = reader.line_num + 1


class Comments:
    """Lines of which those that begin with a comment are empty; not within a quoted value."""

    def __init__(self, lines: Iterable[str], comment: str | None) -> None:
        self._lines, self._comment = iter(lines), comment
        self.at_row = True

    def __iter__(self) -> Comments:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        left_out = self.at_row and self._comment and line.startswith(self._comment)
        self.at_row = False
        return "\n" if left_out else line


def _text_lines(text: str) -> io.StringIO:
    return io.StringIO(text, newline="")


def csv_dialect(delimiter: str, quote: str | None, strip: bool) -> dict[str, Any]:
    """Return the arguments by which `csv.reader` reads such a file."""
    quoting = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    blanks = strip and delimiter != " "
    return {"delimiter": delimiter, "quotechar": quote, "quoting": quoting, "skipinitialspace": blanks}


@contextmanager
def fields_of_any_size() -> Iterator[None]:
    """Lift the csv module's limit of 131,072 characters, which it keeps for the whole process."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def name_columns(path: Path, form: CsvFormat, first: list[str]) -> tuple[list[str], str]:
    """Return the names of the columns, and what to say where the delimiter may be another one."""
    header = first if form.header else []
    names = list(form.names) if form.names is not None else [name.strip() if form.strip else name for name in header]
    line = str(form.delimiter).join(first)
    hint = other_delimiter(line, str(form.delimiter))
    if form.names is not None and len(header) == len(names) and any(map(PLAIN.read, header)):
        told = f"the first line, '{line[:100]}', is treated as the header, and 'columns' replaces it"
        warn(path, f"{told}. If it is a row, write 'header: false'.")
    excel = SEP.fullmatch(line)
    if excel:
        told = f"'delimiter: \"{excel[1]}\"' and 'skip_lines_starting_with: sep='"
        raise DataError(f"{path}: begins with '{line}', which Excel writes. Fix: write {told} in the catalog.")
    if form.header and form.names is not None and header and len(header) != len(names):
        told = f"{len(header)} columns, but {len(names)} names in 'columns' of the catalog"
        raise DataError(f"{path}: {told}. Fix: {hint or 'one name a column.'}")
    if not form.header and [name.strip() for name in first] == names:
        told = "the first row holds the names of the columns"
        raise DataError(f"{path}: {told}. Fix: leave out 'header: false' in the catalog.")
    if not names:
        raise DataError(f"{path}: no columns. Fix: name the columns in the catalog, 'columns: [...]'.")
    return names, hint


def other_delimiter(line: str, delimiter: str) -> str:
    """Return what to write where ``line``, the first one, seems to be divided otherwise, or ""."""
    count, other = max((line.count(other), other) for other in DELIMITERS if other != delimiter)
    if count <= line.count(delimiter):
        return ""
    return f"the file seems to be separated by {other!r}: write 'delimiter: {DELIMITERS[other]}' in the catalog."


def _frame(path: Path, names: list[str], columns: list[Any], places: np.ndarray, hint: str) -> Frame:
    named, unusable = check_names(path, names, columns)
    return Frame(named, places, path, hint, unusable)
