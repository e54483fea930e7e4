"""Reads CSV, JSON Lines and Parquet as columns, with the place of each row."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from thresher.datasets.raw_base import Mistakes, number_places, read_bytes, read_lines
from thresher.datasets.reader_options import Character, Columns, Encoding, FileOptions
from thresher.errors import DataError, nearest

FIX_ROW = "mend the line, or 'delimiter', 'columns' and 'header' in the catalog."


@dataclass(frozen=True)
class Frame:
    """Columns of a file.

    Attributes:
        columns: name -> text (dtype object, None where missing) or float64 (NaN where missing), [N].
        places: such as `adult.data:18`, dtype object [N].
    """

    columns: dict[str, np.ndarray]
    places: np.ndarray
    source: Path

    def column(self, name: str, what: str) -> np.ndarray:
        """Return the column ``name``; raises DataError where there is none, saying that it is ``what``."""
        if name not in self.columns:
            raise DataError(f"{self.source}: no column '{name}' ({what}). {nearest(name, self.columns)}")
        return self.columns[name]


class CsvOptions(FileOptions):
    """How a file of separated values is written."""

    columns: Columns | None = None
    """The names of the columns of a CSV file, in place of those in its header."""
    header: bool = True
    """Whether a CSV file begins with the names of its columns."""
    delimiter: Character = ","
    """Between the values of a CSV file; "\\t" for tabs."""
    encoding: Encoding = "utf-8"
    """Of a text file."""


@dataclass(frozen=True)
class CsvFormat:
    """How a file of separated values is written."""

    header: bool = True
    names: Sequence[str] | None = None
    """Of the columns, where the file has no header; in place of it where it has one."""
    delimiter: str = ","
    encoding: str = "utf-8"
    missing: frozenset[str] = field(default_factory=lambda: frozenset({""}))
    skip_lines_starting_with: str | None = None
    strip: bool = True


def read_frame(path: Path, csv_format: CsvFormat, fix: str) -> Frame:
    """Return the columns of the file at ``path``: Parquet and JSON Lines by the suffix, anything else as CSV.

    Raises:
        DataError: no such file, damaged, rows of unequal length, values of a type that is neither number nor text.
    """
    if path.suffix in (".parquet", ".pq"):
        frame = _read_parquet(path, fix)
    elif path.suffix in (".jsonl", ".ndjson"):
        frame = _read_json_lines(path, csv_format, fix)
    else:
        frame = _read_csv(path, csv_format, fix)
    if not len(frame.places):
        raise DataError(f"{path}: holds no rows. Fix: {fix}")
    return frame


def _read_csv(path: Path, form: CsvFormat, fix: str) -> Frame:
    rows = _csv_rows(path, form, fix)
    names = _names(path, form, rows)
    columns: list[list[str | None]] = [[] for _ in names]
    places, mistakes = [], Mistakes()
    for line, row in rows:
        if len(row) != len(names):
            what = f"{len(row)} values, but {len(names)} columns"
            mistakes.add(f"{path}:{line}", what, FIX_ROW)
            continue
        places.append(f"{path.name}:{line}")
        for column, value in zip(columns, row, strict=True):
            column.append(None if value in form.missing else value)
    mistakes.refuse()
    texts = {name: np.array(column, dtype=object) for name, column in zip(names, columns, strict=True)}
    return Frame(texts, np.array(places, dtype=object), path)


def _csv_rows(path: Path, form: CsvFormat, fix: str) -> Iterator[tuple[int, list[str]]]:
    """Give each row with the line it begins in; empty lines and comments are left out."""
    lines = read_lines(path, form.encoding, fix)
    comment = form.skip_lines_starting_with
    kept = (line if not comment or not line.startswith(comment) else "" for line in lines)
    reader = csv.reader(
        (f"{line}\n" for line in kept), delimiter=form.delimiter, skipinitialspace=form.strip, strict=True
    )
    begin = 1
    try:
        for row in reader:
            if row:
                yield begin, [value.strip() for value in row] if form.strip else row
            begin = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}:{begin}: {error}. Fix: mend the line, or its quotes.") from error


def _names(path: Path, form: CsvFormat, rows: Iterator[tuple[int, list[str]]]) -> list[str]:
    header = next(rows, (0, []))[1] if form.header else []
    names = list(form.names if form.names is not None else header)
    if form.header and form.names is not None and header and len(header) != len(names):
        raise DataError(f"{path}: {len(header)} columns, but {len(names)} names in 'columns' of the catalog.")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated or not names:
        what = f"column '{repeated[0]}' is there twice" if repeated else "no columns"
        raise DataError(f"{path}: {what}. Fix: name the columns in the catalog, 'columns: [...]'.")
    return names


def _read_json_lines(path: Path, form: CsvFormat, fix: str) -> Frame:
    objects, places, mistakes = [], [], Mistakes()
    for number, line in enumerate(read_lines(path, form.encoding, fix), start=1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except ValueError as error:
            mistakes.add(f"{path}:{number}", f"not JSON ({error})", "one JSON object a line.")
            continue
        if not isinstance(document, dict):
            mistakes.add(f"{path}:{number}", "not a JSON object", "one JSON object a line.")
            continue
        objects.append(document)
        places.append(f"{path.name}:{number}")
    mistakes.refuse()
    names = list(dict.fromkeys(name for document in objects for name in document))
    where = np.array(places, dtype=object)
    columns = {name: _json_column(name, [document.get(name) for document in objects], where) for name in names}
    return Frame(columns, where, path)


def _json_column(name: str, values: list[Any], places: np.ndarray) -> np.ndarray:
    """Return ``values`` as float64 where all are numbers, else as text; true and false are texts."""
    plain = [{True: "true", False: "false"}[value] if isinstance(value, bool) else value for value in values]
    given = [value for value in plain if value is not None]
    if given and all(isinstance(value, (int, float)) for value in given):
        return np.array([np.nan if value is None else value for value in plain], dtype=np.float64)
    mistakes = Mistakes()
    for place, value in zip(places, plain, strict=True):
        if value is not None and not isinstance(value, str):
            what = f"column '{name}' holds {type(value).__name__} {str(value)[:60]}, elsewhere text"
            mistakes.add(place, what, "one type a column, text or numbers.")
    mistakes.refuse()
    return np.array(plain, dtype=object)


def _read_parquet(path: Path, fix: str) -> Frame:
    table = read_parquet_table(path, fix)
    columns = {name: _parquet_column(path, name, table.column(name)) for name in table.column_names}
    return Frame(columns, number_places(path, table.num_rows), path)


def read_parquet_table(path: Path, fix: str) -> Any:
    """Return the Arrow table in the Parquet file at ``path``; raises DataError where it cannot be read."""
    import pyarrow as pa
    from pyarrow import parquet

    content = read_bytes(path, fix)
    try:
        return parquet.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}). Fix: {fix}") from error


def parquet_labels(path: Path, table: Any, name: str) -> np.ndarray:
    """Return the column ``name`` of an Arrow table as text or float64; raises DataError where there is none."""
    if name not in table.column_names:
        raise DataError(f"{path}: no column '{name}' (the label). {nearest(name, table.column_names)}")
    if not table.num_rows:
        raise DataError(f"{path}: holds no rows. Fix: name another file in the catalog.")
    frame = Frame({name: _parquet_column(path, name, table.column(name))}, number_places(path, table.num_rows), path)
    refuse_unreadable(frame, [name])
    return frame.columns[name]


def _parquet_column(path: Path, name: str, column: Any) -> np.ndarray:
    import pyarrow as pa
    from pyarrow import compute

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers: np.ndarray = column.cast(pa.float64(), safe=False).to_numpy()
        return numbers.astype(np.float64)
    if pa.types.is_boolean(kind):
        column, kind = compute.if_else(column, "true", "false"), pa.string()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        return np.array(column.to_pylist(), dtype=object)
    # Told when it is used: a column that the entry drops may be of any type.
    return np.array([UNREADABLE + str(kind)] * len(column), dtype=object)


UNREADABLE = "\0a value of type "
"""Begins what stands for values of a type that is neither number nor text."""


def refuse_unreadable(frame: Frame, names: Sequence[str]) -> None:
    """Raise a DataError if one of the columns ``names`` is neither of numbers nor of text."""
    for name in names:
        first = frame.columns[name][0]
        if isinstance(first, str) and first.startswith(UNREADABLE):
            kind = first.removeprefix(UNREADABLE)
            raise DataError(
                f"{frame.source}: column '{name}' is of type {kind}. Fix: make it text or numbers, or drop it."
            )
