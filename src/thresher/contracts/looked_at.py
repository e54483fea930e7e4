"""How many rows and values an expectation looked at. One that looked at none would hold, whatever the data is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thresher.contracts.check import Check
from thresher.contracts.conditions import comparisons
from thresher.contracts.refusal import columns_named

if TYPE_CHECKING:
    import pandas as pd

OF_TABLES = ("expect_table_", "expect_column_to_exist")
OF_WHAT_IS_MISSING = (
    "expect_column_values_to_be_null",
    "expect_column_values_to_not_be_null",
    "expect_column_proportion_of_non_null_values_to_be_between",
    "expect_column_values_to_be_of_type",
    "expect_column_type_to_be",
)
"""Expectations that also say something about a column without any value."""
FIX_CONDITION = "correct row_condition in data.contract of the recipe, or remove the line."
FIX_MISSING = "name a column with values, correct 'missing' in the catalog, or remove the line."
MAX_SHOWN = 10


@dataclass(frozen=True)
class LookedAt:
    """What one expectation could look at.

    Attributes:
        rows: that its `row_condition` selects.
        missing: of these, without a value in its column.
    """

    rows: int
    missing: int


def counting(item: Check) -> Check | None:
    """Return the expectation that counts what ``item`` looks at; None where there is nothing to count."""
    if item.origin != "recipe" or item.refused or item.expectation.startswith(OF_TABLES):
        return None
    columns = columns_named(item.expectation, item.arguments)
    condition = {key: item.arguments[key] for key in ("row_condition",) if key in item.arguments}
    return Check("expect_column_values_to_not_be_null", {"column": columns[0], **condition}) if columns else None


def key_of(count: Check) -> str:
    """Return a text that is the same for counts of the same rows and column."""
    return json.dumps(count.arguments, sort_keys=True)


def read_count(gx_result: dict[str, Any]) -> LookedAt | None:
    """Return what the expectation made by `counting` found; None where it could not be run."""
    result = gx_result["result"] or {}
    if "element_count" not in result:
        return None
    return LookedAt(result["element_count"], result.get("unexpected_count") or 0)


def find_nothing(item: Check, looked: LookedAt | None, table: pd.DataFrame) -> tuple[str, str]:
    """Return why ``item`` looked at nothing, in a sentence, and the fix; two empty texts where it did look."""
    if looked is None:
        return "", ""
    if not looked.rows:
        held = [_describe_values(table, each.column) for each in comparisons(item.arguments.get("row_condition"))]
        what = f"row_condition selects none of the {len(table):,} samples. {' '.join(dict.fromkeys(held))}"
        return f"No value was checked: {what}".rstrip(), FIX_CONDITION
    if looked.missing == looked.rows and item.expectation not in OF_WHAT_IS_MISSING:
        column = columns_named(item.expectation, item.arguments)[0]
        return f"No value was checked: all {looked.rows:,} values of '{column}' are missing.", FIX_MISSING
    return "", ""


def _describe_values(table: pd.DataFrame, column: str) -> str:
    values = table[column].dropna()
    if not len(values):
        return f"'{column}' is empty."
    if values.dtype.kind in "iuf":
        return f"'{column}' holds numbers from {values.min():.6g} to {values.max():.6g}."
    distinct = sorted(map(str, values.unique()))
    more = f" and {len(distinct) - MAX_SHOWN:,} more" if len(distinct) > MAX_SHOWN else ""
    return f"'{column}' holds {', '.join(distinct[:MAX_SHOWN])}{more}."
