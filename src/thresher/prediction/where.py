"""Which rows are wanted: comparisons as contracts write them, such as `col("age") >= 30`."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thresher.contracts.conditions import TEXT_CONDITION
from thresher.errors import DataError
from thresher.modalities.tabular.columns import category_text
from thresher.readers.frame.numbers import PLAIN, NumberFormat
from thresher.readers.frame.values import Missing, as_float64, distinct_texts, is_numeric

OPERATORS = {
    "==": operator.eq, "!=": operator.ne, ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
EXAMPLE = """--where 'col("age") >= 30'"""


@dataclass(frozen=True)
class Condition:
    """One comparison of a column with a text or a number; without one, whether a value is there."""

    column: str
    operator: str = ""
    text: str | None = None
    number: float | None = None

    def holds(self, column: Any, missing: Missing, form: NumberFormat) -> tuple[np.ndarray, np.ndarray]:
        """Return for which values of an Arrow array it holds, bool [N], and which are no numbers where it needs one.

        It holds for no value that is missing.
        """
        if self.number is not None and is_numeric(column.type):
            values, _ = as_float64(column)
            values = np.where(np.isin(values, missing.numbers), np.nan, values)
            return _compare(self.operator, values, self.number) & ~np.isnan(values), np.zeros(len(values), dtype=bool)
        texts, places = distinct_texts(column, missing)
        answers = [self._holds_for(text, form) for text in texts]
        answered = np.array([*(answer is True for answer in answers), False])
        unclear = np.array([*(answer is None for answer in answers), False])
        return answered[places], unclear[places]

    def _holds_for(self, text: str | None, form: NumberFormat) -> bool | None:
        if text is None:
            return False
        if not self.operator:
            return True
        if self.number is None:
            return bool(OPERATORS[self.operator](text, str(self.text)))
        read = form.read(text)
        return None if read is None else bool(OPERATORS[self.operator](float(read), self.number))


def read_conditions(texts: Sequence[str]) -> tuple[Condition, ...]:
    """Return the conditions that the user has written.

    Raises:
        DataError: one is no comparison.
    """
    return tuple(map(_read, texts))


def as_column(values: Sequence[Any]) -> Any:
    """Return values of JSON documents as an Arrow array of texts, in the words of categories."""
    import pyarrow as pa

    return pa.array([category_text(value) if isinstance(value, str | int | float) else None for value in values],
                    pa.large_string())  # fmt: skip


def select(
    conditions: Sequence[Condition], columns: Mapping[str, Any], missing: Missing, form: NumberFormat
) -> tuple[np.ndarray, list[tuple[int, str]]]:
    """Return the rows for which all ``conditions`` hold, bool [N], and those of which that cannot be said, with why."""
    kept = np.ones(len(next(iter(columns.values()))), dtype=bool)
    unclear: dict[int, str] = {}
    for condition in conditions:
        holds, cannot = condition.holds(columns[condition.column], missing, form)
        kept &= holds | cannot
        for row in np.flatnonzero(cannot).tolist():
            value = str(columns[condition.column][row])[:60]
            unclear.setdefault(row, f"--where: '{value}' in column '{condition.column}' is not a number")
    rejected = [(row, why) for row, why in sorted(unclear.items()) if kept[row]]
    kept[list(unclear)] = False
    return kept, rejected


def _read(text: str) -> Condition:
    found = TEXT_CONDITION.fullmatch(text)
    words = found and (found["double"] if found["double"] is not None else found["single"])
    number = float(found["number"]) if found and found["number"] else None
    if found is None or (found["operator"] and words is None and number is None):  # it may compare a date
        fix = f"one column with a number or a text, as in {EXAMPLE}"
        raise DataError(f"--where: {text!r} is no comparison. Fix: {fix}.")
    if words is not None and found["operator"] not in ("==", "!=") and PLAIN.read(words) is not None:
        fix = f"write {words} without quotes, to compare numbers"
        raise DataError(f"--where: {text!r} would compare texts letter by letter, where 9 follows 10. Fix: {fix}.")
    return Condition(found["column"], found["operator"] or "", words, number)


def _compare(name: str, values: np.ndarray, number: float) -> np.ndarray:
    compared: np.ndarray = OPERATORS[name](values, number)
    return compared
