"""What the readers of rows share: how a file is written, and its columns by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from thresher.errors import DataError, nearest
from thresher.readers.base import number_places
from thresher.readers.frame.delimited import CsvFormat
from thresher.readers.frame.files import format_of
from thresher.readers.frame.frame import Frame
from thresher.readers.frame.numbers import BLANKS, QUOTES, NumberFormat
from thresher.readers.frame.read import read_frame
from thresher.readers.frame.values import NOTHING, as_texts
from thresher.readers.options import Character, Columns, Encoding, File, FileOptions, RefusedError, Says, Text

Quote = Annotated[Literal['"', "'", "none"], Says("one of \", ' and none")]
Thousands = Annotated[Literal[",", ".", " ", "'", "_"], Says("one of , . ' _ and a blank")]


class RowOptions(FileOptions):
    """How a file of rows is written."""

    file: File
    """Relative to `path`. Its suffix, in any case, says its format: .parquet or .pq; .jsonl or .ndjson, one JSON object
    a line; .json, an array of objects; .tsv or .tab, CSV with tabs; anything else is CSV. It may be compressed, as .gz,
    .zst or .bz2."""
    columns: Columns | None = None
    """The names of the columns of a CSV or Parquet file, in place of those in it."""
    header: bool = True
    """Whether a CSV file begins with the names of its columns."""
    delimiter: Character | None = None
    """Between the values of a CSV file: a comma where nothing is said, and a tab in .tsv."""
    quote: Quote = '"'
    """Around values of a CSV file that hold a delimiter or the end of a line; within them it is written twice. With
    `none` quotes are characters like others."""
    encoding: Encoding = "utf-8"
    """The encoding of a CSV or JSON file."""
    strip: bool = True
    """Whether blanks around the names and values of a CSV file are left out."""
    skip_lines_starting_with: Text | None = None
    """What begins a comment in a CSV file."""

    @field_validator("file")
    @classmethod
    def _can_be_read(cls, file: str) -> str:
        try:
            format_of(Path(file))
        except DataError as error:
            what, _, fix = str(error).partition(". Fix: ")
            raise RefusedError(what, f"Fix: {fix}") from None
        return file

    @field_validator("columns", "header", "delimiter", "quote", "strip", "skip_lines_starting_with")
    @classmethod
    def _has_an_effect(cls, value: Any, info: ValidationInfo) -> Any:
        kind = format_of(Path(info.data["file"])) if "file" in info.data else "csv"
        if kind in ("json", "json lines") or (kind == "parquet" and info.field_name != "columns"):
            raise RefusedError(
                f"given, but a file of {kind} has none", "It says how CSV is written. Fix: leave it out."
            )
        return value

    @field_validator("quote")
    @classmethod
    def _is_not_the_delimiter(cls, quote: str, info: ValidationInfo) -> str:
        if quote == info.data.get("delimiter"):
            raise RefusedError(f"{quote!r} given, which is the delimiter too", "Fix: two characters.")
        return quote

    def read_rows(self, path: Path, fix: str) -> Frame:
        """Return the columns of the file at ``path``; raises DataError as `read_frame` does."""
        form = CsvFormat(
            header=self.header,
            names=self.columns,
            delimiter=self.delimiter,
            quote=None if self.quote == "none" else self.quote,
            encoding=self.encoding,
            comment=self.skip_lines_starting_with,
            strip=self.strip,
        )
        return read_frame(path, form, fix)


class NumberOptions(FileOptions):
    """How numbers are written in text."""

    decimal: Annotated[Literal[".", ","], Says("a point or a comma")] = "."
    """What divides the whole part of numbers that are written as text from the fraction, as in 12,5."""
    thousands: Thousands | None = None
    """What may stand between groups of three digits of numbers that are written as text, as in 1.234,5. A blank stands
    for all kinds of blanks."""
    symbols: Annotated[list[Text], Says("a list of texts")] = Field(default=[])
    """What stands beside numbers that are written as text and is left out, such as ["%"] or ["€", EUR]. In one column
    all numbers have the same. A number in percent stays as it is: 12 % is 12."""

    @field_validator("thousands")
    @classmethod
    def _is_not_the_decimal(cls, thousands: str | None, info: ValidationInfo) -> str | None:
        if thousands is not None and thousands == info.data.get("decimal"):
            raise RefusedError(
                f"{thousands!r} given, which divides the fraction too",
                f"Fix: write 'decimal: \"{',' if thousands == '.' else '.'}\"' as well.",
            )
        return thousands

    @field_validator("symbols")
    @classmethod
    def _are_no_digits(cls, symbols: list[str]) -> list[str]:
        wrong = next((one for one in symbols if set(one) & set(f"0123456789+-.,{BLANKS}{QUOTES}")), None)
        if wrong is not None:
            raise RefusedError(f"{wrong!r} given", "Fix: a symbol or a unit, without digits, signs and blanks.")
        return symbols

    @property
    def number_format(self) -> NumberFormat:
        """How numbers are written in text."""
        return NumberFormat(self.decimal, self.thousands, tuple(self.symbols))


def read_column(frame: Frame, name: str, what: str, fix: str) -> Any:
    """Return the column ``name`` as an Arrow array of texts, numbers, truths or dates.

    Raises:
        DataError: there is none, it cannot be used as it is, or it is of another type; ``what`` it is, and the ``fix``.
    """
    frame.column(name, what)
    frame.refuse_unusable([name])
    return frame.values(name, fix)


def parquet_labels(path: Path, table: Any, name: str) -> Any:
    """Return the column ``name`` of an Arrow table as `make_labels` takes it; raises DataError where it cannot be."""
    if name not in table.column_names:
        raise DataError(f"{path}: no column '{name}' (the label). {nearest(name, table.column_names)}")
    if not table.num_rows:
        raise DataError(f"{path}: holds no rows. Fix: name another file in the catalog.")
    frame = Frame({name: table.column(name)}, number_places(path, table.num_rows), path)
    return read_column(frame, name, "the label", "make it text or numbers.")


def join_labels(columns: Sequence[Any]) -> Any:
    """Return the labels of several files as one Arrow array; as texts where their types are not one."""
    import pyarrow as pa

    if len({str(column.type) for column in columns}) > 1:
        return pa.array(np.concatenate([as_texts(column, NOTHING) for column in columns]), pa.large_string())
    return pa.concat_arrays(columns)
