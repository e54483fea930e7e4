"""The columns of a file of rows, where its first line or its schema says them."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from thresher.errors import DataError
from thresher.readers.frame.delimited import csv_dialect, other_delimiter
from thresher.readers.frame.files import format_of
from thresher.readers.row_options import RowOptions


def _open_zstd(path: Path, mode: str) -> Any:
    import pyarrow as pa

    return pa.CompressedInputStream(pa.OSFile(str(path), mode), "zstd")


OPEN: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".zst": _open_zstd}
"""Suffix -> what opens such a file; another one is opened as it is."""
MAX_JSON_BYTES = 1 << 22
"""A file of JSON up to this size is read as a whole for its columns."""
LONGEST = 1 << 20
"""Characters of a first line that is looked at."""


def find_columns(options: RowOptions) -> list[str] | None:
    """Return the names of the columns in the file; None where that cannot be known without reading all of it."""
    (path,) = options.find_files()
    try:
        kind = format_of(path)
        if kind == "parquet":
            return options.columns or _parquet_columns(path)
        if kind in ("json", "json lines"):
            is_small = path.stat().st_size <= MAX_JSON_BYTES
            return list(options.read_rows(path, "").columns) if is_small else None  # any object may have other keys
        if not options.header or options.columns is not None:
            return options.columns
        return _first_row(path, options, _delimiter(kind, options))
    except (OSError, EOFError, ValueError, csv.Error, DataError):  # the reader says what is wrong with the file
        return None


def find_other_delimiter(options: RowOptions, columns: list[str]) -> str:
    """Return what to write where the line of the names ``columns`` seems to be divided otherwise, or ""."""
    (path,) = options.find_files()
    kind = format_of(path)
    if kind not in ("csv", "tsv"):
        return ""
    delimiter = _delimiter(kind, options)
    return other_delimiter(delimiter.join(columns), delimiter)


def _delimiter(kind: str, options: RowOptions) -> str:
    return options.delimiter or ("\t" if kind == "tsv" else ",")


def _first_row(path: Path, options: RowOptions, delimiter: str) -> list[str] | None:
    opened = OPEN.get(path.suffix.lower(), open)(path, "rb")
    with io.TextIOWrapper(opened, encoding=options.encoding, newline="") as file:
        line = _first_line(file, options.skip_lines_starting_with)
    quote = None if options.quote == "none" else options.quote
    if quote and line.count(quote) % 2:  # a name that goes on in the next line
        return None
    names = next(csv.reader([line], **csv_dialect(delimiter, quote, options.strip)), [])
    named = [name.strip() if options.strip else name for name in names]
    return [name or f"column {number}" for number, name in enumerate(named, start=1)] or None


def _first_line(file: TextIO, comment: str | None) -> str:
    while line := file.readline(LONGEST):
        text = line.removeprefix("\ufeff")
        if text.strip("\r\n") and not (comment and text.startswith(comment)):
            return text
    return ""


def _parquet_columns(path: Path) -> list[str]:
    from pyarrow import parquet

    return list(parquet.read_schema(path).names)
