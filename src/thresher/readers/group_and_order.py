"""What a sample belongs to, and when it was: columns that are no features and by which samples are divided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationInfo, field_validator

from thresher.errors import DataError
from thresher.readers.base import Mistakes, fix_missing, number_places
from thresher.readers.frame.dates import ISO, read_date
from thresher.readers.frame.files import read_lines
from thresher.readers.frame.frame import Frame
from thresher.readers.frame.numbers import PLAIN, NumberFormat, format_in
from thresher.readers.frame.values import Missing, as_texts, decimal_text, is_numeric, is_temporal
from thresher.readers.labels import as_decimal
from thresher.readers.options import Column, File, FileOptions, RefusedError
from thresher.readers.row_options import read_column
from thresher.readers.split import SplitOptions

FIX = "make it text or numbers."
MAX_EXPONENT = 400
"""Groups that are numbers are written without an exponent up to 1e400."""


class BelongingOptions(SplitOptions):
    """The columns by which samples are divided, where a file has such."""

    group: Column | None = None
    """A column that says what a sample belongs to, such as a person or a machine. No group is in train and in test, nor
    in the part of train that validates. It is not a feature."""
    order: Column | None = None
    """A column of numbers or dates (ISO 8601, or as `dates` says) that says when a sample was: the last ones are the
    test split, and the last ones of train validate, in place of a share of each class. It is not a feature."""

    @field_validator("order")
    @classmethod
    def _stands_alone(cls, order: str | None, info: ValidationInfo) -> str | None:
        if order is not None and info.data.get("group") is not None:
            raise RefusedError(f"'{order}' given beside 'group'", "Fix: one of them.")
        return order

    @property
    def belonging(self) -> list[str]:
        """The columns that are named."""
        return [name for name in (self.group, self.order) if name is not None]


class SideFileOptions(BelongingOptions, FileOptions):
    """A file that says how samples are divided, where their own has no place for it: one line a sample."""

    group: File | None = None
    """A text file, relative to `path`, with one line a sample in the samples' order: what it belongs to, such as a
    person or a machine. No group is in train and in test, nor in the part of train that validates."""
    order: File | None = None
    """A text file, relative to `path`, with one line a sample in the samples' order: a number or a date (ISO 8601) that
    says when it was. The last ones are the test split, and the last ones of train validate, in place of a share of each
    class."""

    def find_files(self) -> tuple[Path, ...]:
        """Return the file, and the one beside it."""
        return self.below_path([self.file, *self.belonging])

    def read_belonging(self, count: int, missing: Missing) -> Belonging:
        """Return the groups and the order of ``count`` samples.

        Raises:
            DataError: no such file, another number of lines, an empty line, or what is neither number nor date.
        """
        for name, path in zip(self.belonging, self.find_files()[1:], strict=True):
            lines = read_lines(path, "utf-8", fix_missing(self.fetch))
            if len(lines) != count:
                counts = f"{len(lines):,} lines, but there are {count:,} samples"
                raise DataError(f"{path}: {counts}. Fix: write one line for each sample, in the same order.")
            return belonging_of({name: lines}, number_places(path, count), path, self, missing)
        return None, None


Belonging = tuple[np.ndarray | None, np.ndarray | None]
"""`groups` and `order` of `Samples`."""


def read_belonging_columns(
    frame: Frame, options: BelongingOptions, missing: Missing, form: str = ISO, numbers: NumberFormat = PLAIN
) -> Belonging:
    """Return the groups and the order of the rows of ``frame``, as far as ``options`` name them.

    Args:
        form: of dates that are text, as `read_date` takes it.
        numbers: how texts write numbers.

    Raises:
        DataError: no such column, a value that is missing, or in an order one that is neither number nor date.
    """
    groups = order = None
    if options.group is not None:
        texts = as_texts(read_column(frame, options.group, "'group' of the catalog", FIX), missing)
        _refuse(frame, texts.tolist(), {}, "group")
        groups = np.array([_one_spelling(text) for text in texts.tolist()], dtype=object)
    if options.order is not None:
        column = read_column(frame, options.order, "'order' of the catalog", FIX)
        times, wrong = _times(column, missing, form, numbers)
        _refuse(frame, times, wrong, "order")
        order = np.empty(len(times), dtype=object)
        order[:] = times
    return groups, order


def belonging_of(
    values: Mapping[str, Sequence[Any]], places: np.ndarray, source: Path, options: BelongingOptions, missing: Missing
) -> Belonging:
    """Return the groups and the order that ``values``, one list for each of ``options.belonging``, say.

    Raises:
        DataError: as `read_belonging_columns`.
    """
    import pyarrow as pa

    columns = {name: pa.array(list(given)) for name, given in values.items()}
    return read_belonging_columns(Frame(columns, places, source), options, missing)


def _one_spelling(group: str) -> str:
    """Return ``group`` as it is, or a number in its shortest form: 1, 1.0 and 01 of two files are one machine."""
    number = as_decimal(group)
    if number is None or not number.is_finite() or abs(number.adjusted()) > MAX_EXPONENT:
        return group
    return decimal_text(number)


def _refuse(frame: Frame, values: list[Any], wrong: dict[int, str], key: str) -> None:
    mistakes = Mistakes()
    for index, value in enumerate(values):
        place = frame.source.parent / str(frame.places[index])
        if index in wrong:
            told = (
                f"'{wrong[index][:60]}' in the column that '{key}' names is neither a number nor a date of its format"
            )
            mistakes.add(place, told, "write numbers, or dates such as 2026-11-29, or say the format under 'dates'.")
        elif value is None or value != value:
            mistakes.add(place, f"no value in the column that '{key}' names", "write it, or remove the row.")
    mistakes.refuse()


def _times(column: Any, missing: Missing, form: str, numbers: NumberFormat) -> tuple[list[Any], dict[int, str]]:
    """Return values that sort as time does, and texts that do not, by their row."""
    if is_numeric(column.type) or is_temporal(column.type):
        return column.to_pylist(), {}
    texts: list[str | None] = as_texts(column, missing).tolist()
    numbers = format_in({text for text in texts if text is not None}, numbers)
    with suppress(ValueError):
        return [None if _is_no_time(text) else _number(numbers.read(str(text))) for text in texts], {}
    values: list[float | None] = []
    wrong: dict[int, str] = {}
    for index, text in enumerate(texts):
        try:
            values.append(None if text is None else read_date(text, form))
        except ValueError:
            values.append(None)
            wrong[index] = str(text)
    return values, wrong


def _is_no_time(text: str | None) -> bool:
    """Return whether ``text`` says that there is none."""
    return text is None or text.strip().lower() == "nan"


def _number(text: str | None) -> int | float:
    """Return a number exactly, where it is whole; raises ValueError where it is none."""
    if text is None:
        raise ValueError("no number")
    try:
        return int(text)
    except ValueError:
        return float(text)
