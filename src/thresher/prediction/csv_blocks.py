"""A CSV file in blocks of whole records, read as the readers of raw data do, with no more than a block in memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from thresher.errors import DataError
from thresher.prediction.piece import PIECE_BYTES, Columns, Content, Piece
from thresher.prediction.streams import open_binary
from thresher.readers.frame.delimited import (
    Comments,
    CsvFormat,
    csv_dialect,
    name_columns,
    parse_columns,
)
from thresher.readers.frame.names import check_names
from thresher.readers.frame.records import NEWLINE, Records, find_records

MAX_RECORD = 16 * 2**20
"""Bytes after which a quote that was opened is taken for one that nobody has closed."""
OPEN_QUOTE = ("unexpected end of data", "field larger than field limit")
"""What the csv module says of a quote that is opened and never closed."""
Row = tuple[int, list[str], str]
"""The line that a row begins in, its values, and why they cannot be read, or ""."""


class CsvSource:
    """The rows of a CSV file.

    Args:
        form: how it is written; ``form.delimiter`` is said.
        optional: of the columns that `form.names` names, one that the file may lack: the label.
    """

    def __init__(self, path: Path, form: CsvFormat, optional: str = "") -> None:
        self.path, self._form, self._optional = path, form, optional
        self.hint = ""
        """What to do where the columns are not those that are wanted: the delimiter may be another one."""
        self._names, self._has_header = self._read_head()

    @property
    def names(self) -> list[str]:
        """The columns' names, some of which may be empty."""
        return self._names

    def pieces(self, max_rows: int) -> Iterator[Piece]:
        """Yield the rows, as `Source.pieces` says."""
        number, first, line, head = 0, 0, 0, int(self._has_header)
        with open_binary(self.path, self._form.encoding) as stream:
            blocks = _Blocks(stream.file, _byte(self._form.quote))
            for block in blocks:
                if (records := self._find(block)) is None:
                    break
                head, records = (0, records.part(head)) if len(records) else (head, records)
                for start in range(0, len(records), max_rows):
                    own = replace_lines(records.part(start, start + max_rows), line)
                    yield Piece(number, first, len(own), partial(self._parse, block, own), stream.tell())
                    number, first = number + 1, first + len(own)
                line += count_lines(block)
            else:
                return
            rows = islice(self._rows(io.BytesIO(block + blocks.rest), stream.file, line), head, None)
            while part := list(islice(rows, max_rows)):
                yield Piece(number, first, len(part), partial(self._parse_rows, part), stream.tell())
                number, first = number + 1, first + len(part)

    def _find(self, block: bytes) -> Records | None:
        form = self._form
        assert form.delimiter is not None
        if not form.delimiter.isascii():
            return None
        return find_records(block, form.delimiter.encode(), _byte(form.quote), (form.comment or "").encode() or None)

    def _parse(self, block: bytes, records: Records) -> Content:
        content = records.join(block, 0)
        longest = int((records.ends - records.starts).max())
        columns = None
        if not _is_damaged(content):
            columns = parse_columns(content, len(self._names), self._form, longest)
        if columns is None or len(columns[0]) != len(records):
            ranges = zip(records.lines.tolist(), records.starts.tolist(), records.ends.tolist(), strict=True)
            return self._parse_rows([(line, *self._read_record(block[start:end])) for line, start, end in ranges])
        return self._content(columns, np.arange(len(records)), records.lines.tolist(), [])

    def _read_record(self, content: bytes) -> tuple[list[str], str]:
        form = self._form
        lines = io.StringIO(content.decode("utf-8", "surrogateescape"), newline="")
        dialect = csv_dialect(str(form.delimiter), form.quote, form.strip)
        try:
            return next(csv.reader(lines, strict=True, **dialect), []), ""
        except csv.Error as error:
            return [], _not_csv(error)

    def _parse_rows(self, rows: list[Row]) -> Content:
        import pyarrow as pa

        width, kept, rejected = len(self._names), [], []
        for index, (_, values, why) in enumerate(rows):
            if len(values) != width:
                why = why or f"{len(values)} values, but {width} columns"
            elif any(_is_damaged(value.encode("utf-8", "surrogateescape")) for value in values):
                why = f"bytes that are not {self._form.encoding}, or a zero byte"
            if why:
                rejected.append((index, why))
            else:
                kept.append(index)
        strip = self._form.strip
        texts = [[value.strip() if strip else value for value in rows[index][1]] for index in kept]
        columns = [pa.array([row[place] for row in texts], pa.large_string()) for place in range(width)]
        return self._content(columns, np.array(kept, np.int64), [line for line, _, _ in rows], rejected)

    def _content(
        self, columns: list[Any], rows: np.ndarray, lines: list[int], rejected: list[tuple[int, str]]
    ) -> Content:
        named = {name: column for name, column in zip(self._names, columns, strict=True) if name.strip()}
        return Content(Columns(named, rows), lambda index: f"{self.path.name}:{lines[index]}", rejected)

    def _rows(self, begin: io.BytesIO, rest: IO[bytes], line: int) -> Iterator[Row]:
        """Yield the rows of two streams one behind the other; a row that cannot be read does not end it."""
        form = self._form
        text = io.TextIOWrapper(io.BufferedReader(_Joined(begin, rest)), "utf-8", errors="surrogateescape", newline="")
        comments = Comments(text, form.comment)
        reader = csv.reader(comments, strict=True, **csv_dialect(str(form.delimiter), form.quote, form.strip))
        at = line + 1
        while True:
            comments.at_row, why = True, ""
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if str(error).startswith(OPEN_QUOTE):
                    raise self._never_closed(at) from error
                row, why = [], _not_csv(error)
            end = line + reader.line_num
            if why and end > at:
                why = f"{why}; it took all up to line {end} for one row"
            if row or why:
                yield at, row, why
            at = end + 1

    def _never_closed(self, line: int) -> DataError:
        """Return what to say of a quote that all lines behind it would go into: which of them are rows is a guess."""
        told = f"{self.path}:{line}: a quote that is opened here is never closed, and no row behind it can be told"
        fix = "close it, write it twice within a quoted value, or 'quote: none' in the catalog if quotes mean nothing"
        return DataError(f"{told}. Fix: {fix}.")

    def _read_head(self) -> tuple[list[str], bool]:
        """Return the names of the columns, and whether they are the file's first row.

        Raises:
            DataError: the file is empty or cannot be read, or its first row does not fit the entry.
        """
        import pyarrow as pa

        with open_binary(self.path, self._form.encoding) as stream:
            block = next(iter(_Blocks(stream.file, _byte(self._form.quote))), b"")
        first = next((row for _, row, why in self._rows(io.BytesIO(block), io.BytesIO(), 0) if not why), None)
        if first is None:
            raise DataError(f"{self.path}: the file is empty. Fix: name a file with rows.")
        form = self._form
        first = [value.strip() if form.strip else value for value in first]
        if form.names is None:
            (names, self.hint), has_header = name_columns(self.path, form, first), form.header
        elif set(first) <= set(form.names):
            names, has_header = first, True
        else:
            without = [name for name in form.names if name != self._optional]
            expected = without if len(first) == len(without) else list(form.names)
            form = replace(form, names=expected)
            (names, self.hint), has_header = name_columns(self.path, form, first), form.header
        if len(names) != len(first):
            told = f"{len(first)} values in the first row, but {len(names)} names in 'columns' of the catalog"
            fix = self.hint or "write the file as the training data is, or give it a header."
            raise DataError(f"{self.path}: {told}. Fix: {fix}")
        check_names(self.path, names, [pa.array([], pa.large_string())] * len(names), "name the columns in the file")
        return names, has_header


class _Blocks:
    """Blocks of whole records of a stream; `rest` has been read and not given yet."""

    def __init__(self, stream: IO[bytes], quote: bytes | None) -> None:
        self._stream, self._quote = stream, quote
        self.rest = b""

    def __iter__(self) -> Iterator[bytes]:
        while data := self._stream.read(PIECE_BYTES):
            content = self.rest + data
            end = _last_end(content, self._quote)
            if not end and len(content) > MAX_RECORD:
                end = len(content)
            self.rest = content[end:]
            if end:
                yield content[:end]
        last, self.rest = self.rest, b""
        if last:
            yield last


class _Joined(io.RawIOBase):
    """Two streams of bytes, one behind the other."""

    def __init__(self, *streams: IO[bytes]) -> None:
        self._streams = list(streams)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        for stream in self._streams:
            if data := stream.read(len(buffer)):
                buffer[: len(data)] = data
                return len(data)
        return 0


def _last_end(content: bytes, quote: bytes | None) -> int:
    """Return the index after the last line that ends outside of quotes; 0 where there is none."""
    codes = np.frombuffer(content, dtype=np.uint8)
    ends = np.flatnonzero(codes == NEWLINE)
    if not len(ends):
        ends = np.flatnonzero(codes[:-1] == ord("\r"))  # the last may be half of \r\n
    if quote is not None and quote in content:
        quotes = np.flatnonzero(codes == ord(quote))
        ends = ends[np.searchsorted(quotes, ends) % 2 == 0]
    return int(ends[-1]) + 1 if len(ends) else 0


def count_lines(content: bytes) -> int:
    r"""Return how many lines end in ``content``: by \n, \r\n or \r alone."""
    return content.count(b"\n") + content.count(b"\r") - content.count(b"\r\n")


def replace_lines(records: Records, before: int) -> Records:
    """Return ``records`` with the numbers of their lines in the file; ``before`` them come so many."""
    return replace(records, lines=records.lines + before)


def _byte(quote: str | None) -> bytes | None:
    return quote.encode() if quote else None


def _is_damaged(content: bytes) -> bool:
    """Return whether ``content`` holds what is not UTF-8, or a NUL."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return True
    return 0 in content


def _not_csv(error: csv.Error) -> str:
    return f"not CSV ({error})"


@contextmanager
def limited_fields() -> Iterator[None]:
    """Let a quote that nobody closes swallow no more than MAX_RECORD; the csv module's limit is the whole process's."""
    before = csv.field_size_limit(MAX_RECORD)
    try:
        yield
    finally:
        csv.field_size_limit(before)
