"""Rows of columns as the model takes them: a column at a time, to the same numbers as the service's row at a time.

What looks wrong by a column goes the service's own way, which accepts it or says why not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from thresher.errors import InvalidInputError
from thresher.modalities.model_input import LARGEST
from thresher.modalities.tabular.columns import CategoricalColumn, NumericColumn
from thresher.modalities.tabular.encoder import TabularEncoder, stack_columns
from thresher.readers.column_types import plain_numbers
from thresher.readers.frame.dates import ISO, days_of, read_date
from thresher.readers.frame.numbers import NumberFormat, format_in
from thresher.readers.frame.values import (
    Missing,
    as_float64,
    changes,
    distinct_texts,
    is_numeric,
    is_temporal,
    is_textual,
)


@dataclass(frozen=True)
class Written:
    """How a file writes what its columns hold, as a catalog entry says it."""

    numbers: NumberFormat
    missing: Missing
    dates: Mapping[str, str]
    """Column -> the format of its dates."""


@dataclass(frozen=True)
class _Values:
    """One column of a piece.

    Attributes:
        numbers: float64 [N]: values, NaN where missing, or the codes of categories.
        wrong: bool [N], where the service is to say whether and why it refuses.
        texts: the different values, and which of them each is [N]; None where ``numbers`` say all.
    """

    numbers: np.ndarray
    wrong: np.ndarray
    texts: tuple[list[str | None], np.ndarray] | None = None


class RowEncoder:
    """Encodes the columns of a piece.

    Args:
        first: the columns of the file's first piece, by which it is told whether a column that the entry says is
            written by people was written by a program.
    """

    def __init__(self, encoder: TabularEncoder, written: Written, first: Mapping[str, Any]) -> None:
        self._encoder, self._written = encoder, written
        self._refuse = encoder.unseen_categories == "refuse"
        self._forms = {column.name: self._choose_form(first[column.name]) for column in encoder.numeric}

    def encode(self, columns: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, list[tuple[int, str]]]:
        """Return the rows that have an answer, float32 [M, F], which these are, int64 [M], and why others have none."""
        numeric = {column.name: self._numbers(column, columns[column.name]) for column in self._encoder.numeric}
        categorical = {column.name: self._codes(column, columns[column.name]) for column in self._encoder.categorical}
        found = numeric | categorical
        standardized = {
            column.name: column.standardize(numeric[column.name].numbers) for column in self._encoder.numeric
        }
        wrong = np.zeros(len(next(iter(columns.values()))), dtype=bool)
        for values in found.values():
            wrong |= values.wrong
        for column in self._encoder.numeric:
            size, gone = np.abs(standardized[column.name]), np.isnan(numeric[column.name].numbers)
            wrong |= ~(size <= LARGEST) & ~gone
            if not column.has_missing:
                wrong |= gone
        with np.errstate(over="ignore"):  # what is too large is wrong
            samples = stack_columns(
                [column.settle(standardized[column.name]) for column in self._encoder.numeric],
                [np.isnan(numeric[column.name].numbers) for column in self._encoder.numeric if column.has_missing],
                [values.numbers for values in categorical.values()],
            )
        kept, rejected = ~wrong, []
        for row in np.flatnonzero(wrong).tolist():
            try:
                samples[row] = self._encoder.encode_json(self._say(row, columns, found))[0]
                kept[row] = True
            except InvalidInputError as error:
                rejected.append((row, str(error)))
        return (samples, np.arange(len(kept)), []) if not rejected else (samples[kept], np.flatnonzero(kept), rejected)

    def _say(self, row: int, columns: Mapping[str, Any], found: Mapping[str, _Values]) -> dict[str, Any]:
        """Return a row as a client of the service would write it."""
        said: dict[str, Any] = {}
        for column in self._encoder.columns:
            values, own = found[column.name], columns[column.name]
            if values.texts is not None:
                texts, places = values.texts
                said[column.name] = None if places[row] < 0 else texts[places[row]]
                if isinstance(column, NumericColumn) and said[column.name] is not None:
                    is_read = np.isfinite(values.numbers[row]) and not values.wrong[row]
                    number = float(values.numbers[row])
                    said[column.name] = number if is_read else say_number(said[column.name], self._forms[column.name])
            elif values.wrong[row]:
                value = own[row].as_py()
                said[column.name] = float(value) if isinstance(value, Decimal) else value
            else:
                said[column.name] = None if np.isnan(values.numbers[row]) else float(values.numbers[row])
        return said

    def _choose_form(self, column: Any) -> NumberFormat:
        declared = self._written.numbers
        if declared.is_plain or not is_textual(column.type):
            return declared
        texts, _ = distinct_texts(column, self._written.missing)
        return format_in([text for text in texts if text is not None], declared)

    def _numbers(self, column: NumericColumn, values: Any) -> _Values:
        missing, date = self._written.missing, self._written.dates.get(column.name)
        if is_numeric(values.type):
            return _without_codes(*as_float64(values), missing)
        if is_temporal(values.type) and column.unit:
            return _Values(days_of(values), np.zeros(len(values), dtype=bool))
        form = self._forms[column.name]
        if is_textual(values.type) and form.is_plain and not column.unit and (plain := plain_numbers(values)):
            return _without_codes(*plain, missing)
        texts, places = distinct_texts(values, missing)
        read = [read_number(text, form, date or ISO if column.unit else None) for text in texts]
        numbers = np.array([*(number for number, _ in read), np.nan])
        wrong = np.array([*(is_wrong for _, is_wrong in read), False])
        return _Values(numbers[places], wrong[places], (texts, places))

    def _codes(self, column: CategoricalColumn, values: Any) -> _Values:
        texts, places = distinct_texts(values, self._written.missing)
        each = [*texts, None]  # -1, the last, is what is not there
        codes = np.array([column.encode_one(text) for text in each], dtype=np.float64)
        wrong = np.array([bool(column.problem(text, self._refuse)) for text in each])
        return _Values(codes[places], wrong[places], (texts, places))


def _without_codes(values: np.ndarray, changed: np.ndarray, missing: Missing) -> _Values:
    """Return numbers without those that stand for missing ones; infinite ones are for the service to refuse."""
    if len(missing.numbers):
        gone = np.isin(values, missing.numbers)
        values, changed = np.where(gone, np.nan, values), changed & ~gone
    return _Values(values, changed)


def say_number(text: str, form: NumberFormat) -> str | float:
    """Return the number that ``text`` writes and float64 does not hold, whole or infinite; any other text as it is.

    So the service tells what is wrong with a number, and not that it is none.
    """
    read = form.read(text)
    if read is None or np.isinf(float(read)):
        return text if read is None else float(read)
    exact = Decimal(read)
    return int(exact) if exact == exact.to_integral_value() else text


def read_number(text: str | None, form: NumberFormat, date: str | None) -> tuple[float, bool]:
    """Return the number that ``text`` writes, NaN where it is missing, and whether it is none that float64 holds."""
    if text is None:
        return np.nan, False
    if date is not None:
        try:
            return read_date(text, date), False
        except ValueError:
            pass
    number = form.read(text)
    return (np.nan, True) if number is None else (float(number), changes(number))
