"""Which rows are wanted: comparisons as contracts write them, such as `col("age") >= 30`."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thresher.errors import DataError
from thresher.modalities.tabular.columns import category_text
from thresher.readers.frame.numbers import PLAIN, NumberFormat
from thresher.readers.frame.values import Missing, as_float64, distinct_texts, is_numeric

OPERATORS = {
    "==": operator.eq, "!=": operator.ne, ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
EXAMPLE = """--where 'col("age") >= 30'"""
QUOTED = r"""(?:"(?P<{0}double>(?:[^"\\]|\\.)*)"|'(?P<{0}single>(?:[^'\\]|\\.)*)')"""
CONDITION = re.compile(
    rf"""\s*col\({QUOTED.format("column_")}\)\s*
    (?:\.notnull\(\)|(?P<operator>==|!=|>=|<=|>|<)\s*
    (?:(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|{QUOTED.format("text_")}))\s*""",
    re.VERBOSE | re.IGNORECASE,
)
"""As contracts write it (`TEXT_CONDITION`), but that a quote may stand within quotes, behind a backslash."""
ESCAPED = re.compile(r"\\([\\\"'])")


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

    def refuse_texts(self, column: Any, missing: Missing, form: NumberFormat) -> None:
        """Raise a DataError where it compares texts with a number: an Arrow array in which no value is one."""
        if self.number is None or is_numeric(column.type):
            return
        texts = [text for text in distinct_texts(column, missing)[0] if text is not None]
        if texts and all(form.read(text) is None for text in texts):
            told = f"--where: column '{self.column}' holds texts, such as '{texts[0][:60]}', and no number"
            example = texts[0][:60].replace("\\", "\\\\").replace('"', '\\"')
            fix = f"""compare it with a text, as in 'col("{self.column}") == "{example}"'"""
            raise DataError(f"{told}. Fix: {fix}.")


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
    found = CONDITION.fullmatch(text)
    if found is None:  # it may compare a date
        fix = f'one column with a number or a text, as in {EXAMPLE}; a quote within quotes as \\"'
        raise DataError(f"--where: {text!r} is no comparison. Fix: {fix}.")
    words, number = _unquote(found, "text"), float(found["number"]) if found["number"] else None
    if words is not None and found["operator"] not in ("==", "!=") and PLAIN.read(words) is not None:
        fix = f"write {words} without quotes, to compare numbers"
        raise DataError(f"--where: {text!r} would compare texts letter by letter, where 9 follows 10. Fix: {fix}.")
    return Condition(_unquote(found, "column") or "", found["operator"] or "", words, number)


def _unquote(found: re.Match[str], what: str) -> str | None:
    """Return what stands in the quotes of a column or a text, None where there are none."""
    quoted = next((each for kind in ("double", "single") if (each := found[f"{what}_{kind}"]) is not None), None)
    return None if quoted is None else ESCAPED.sub(r"\1", quoted)


def _compare(name: str, values: np.ndarray, number: float) -> np.ndarray:
    compared: np.ndarray = OPERATORS[name](values, number)
    return compared
