"""Lines of a contract that cannot say anything of this table: unknown columns, text that is compared with numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from thresher.contracts.check import LEAK_COLUMN
from thresher.contracts.conditions import comparisons
from thresher.errors import nearest

if TYPE_CHECKING:
    import pandas as pd

FIX_COLUMN = "correct the column's name in data.contract of the recipe."
FIX_KIND = "in data.contract of the recipe, write texts in quotes and numbers without."
OF_TEXT = ("_regex", "_regex_list", "_value_lengths_to_be_between", "_value_lengths_to_equal", "_strftime_format")
"""How the names of expectations end that look at text alone."""
OF_NUMBERS = (
    "_mean_to_be_between", "_median_to_be_between", "_stdev_to_be_between", "_sum_to_be_between",
    "_quantile_values_to_be_between", "_value_z_scores_to_be_less_than", "_to_not_be_outliers",
)  # fmt: skip
WORDS = {"text": "text", "number": "numbers"}


def find_refusal(table: pd.DataFrame, name: str, arguments: dict[str, Any]) -> tuple[str, str]:
    """Return why a line can say nothing of ``table``, in a sentence, and the fix; two empty texts where it can."""
    conditions = comparisons(arguments.get("row_condition"))
    for column in [*columns_named(name, arguments), *(each.column for each in conditions)]:
        if column not in table.columns:
            hint = nearest(column, map(str, set(table.columns) - {LEAK_COLUMN}))
            return f"column '{column}' is not in the sample table. {hint}", FIX_COLUMN
    compared = [("row_condition", each.column, each.values) for each in conditions]
    for what, column, values in [*compared, *_compared(name, arguments)]:
        kind = _kind_of_column(table[column])
        wrong = [value for value in values if kind and _kind_of_value(value) not in (kind, "")]
        if wrong:
            given = f"{what} compares it with {wrong[0]!r}, {_words_of_value(wrong[0])}"
            return f"column '{column}' holds {WORDS[kind]}, but {given}: that is never equal.", FIX_KIND
    own = arguments.get("column")
    for ends, kind in ((OF_TEXT, "text"), (OF_NUMBERS, "number")):
        if isinstance(own, str) and name.endswith(ends) and _kind_of_column(table[own]) not in (kind, ""):
            holds = WORDS["number" if kind == "text" else "text"]
            fix = "name another column or another expectation in data.contract of the recipe."
            return f"column '{own}' holds {holds}, but this expectation looks at {WORDS[kind]}.", fix
    return "", ""


def columns_named(name: str, arguments: dict[str, Any]) -> list[str]:
    """Return the columns that an expectation looks at, without those of its `row_condition`."""
    if name == "expect_column_to_exist" or name.startswith("expect_table_"):
        return []
    single = [arguments[key] for key in ("column", "column_A", "column_B") if key in arguments]
    return [*single, *arguments.get("column_list", [])]


def _compared(name: str, arguments: dict[str, Any]) -> Iterable[tuple[str, str, list[Any]]]:
    column = arguments.get("column")
    if not isinstance(column, str) or name == "expect_column_to_exist":
        return
    if isinstance(arguments.get("value_set"), list):
        yield "value_set", column, arguments["value_set"]
    if name in (
        "expect_column_values_to_be_between",
        "expect_column_max_to_be_between",
        "expect_column_min_to_be_between",
    ):
        for key in ("min_value", "max_value"):
            yield key, column, [arguments[key]] if key in arguments else []


def _kind_of_column(column: pd.Series) -> str:
    """Return text or number, or "" for a column that is empty or of both."""
    from pandas.api import types

    if types.is_numeric_dtype(column.dtype) and not types.is_bool_dtype(column.dtype):
        return "number"
    kinds = {type(value) for value in column.dropna()}
    return "text" if kinds and all(issubclass(kind, str) for kind in kinds) else ""


def _kind_of_value(value: Any) -> str:
    if isinstance(value, bool):
        return "truth"
    return "text" if isinstance(value, str) else "number" if isinstance(value, (int, float)) else ""


def _words_of_value(value: Any) -> str:
    if isinstance(value, bool):
        return "which YAML reads as true or false where it is not in quotes"
    return WORDS[_kind_of_value(value)]
