"""Great Expectations' result of one expectation, turned into a plain one with a sentence."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from thresher.contracts.check import LEAK_COLUMN, Check
from thresher.contracts.looked_at import LookedAt, find_nothing
from thresher.contracts.report import Example, ExpectationResult

if TYPE_CHECKING:
    import pandas as pd


def describe_outcome(
    item: Check, gx_result: dict[str, Any], looked: LookedAt | None, table: pd.DataFrame
) -> ExpectationResult:
    """Return the outcome of ``item``.

    Args:
        gx_result: GX's result as JSON, in the result format SUMMARY.
        looked: how many rows and values ``item`` had to look at, where that was counted.
    """
    if item.refused:
        return _result(item, success=False, message=item.refused)
    result = gx_result["result"] or {}
    crash = _exception(gx_result.get("exception_info") or {})
    nothing, fix = find_nothing(item, looked, table)
    if nothing:
        return _result(
            replace(item, fix=fix), success=False, message=nothing, num_values=0, num_missing=looked and looked.missing
        )
    success = bool(gx_result["success"])
    values, missing = _counts(result, looked)
    return _result(
        item,
        success=success,
        num_values=values,
        num_missing=missing,
        observed=plain(result.get("observed_value")),
        num_unexpected=result.get("unexpected_count"),
        percent_unexpected=plain(result.get("unexpected_percent")),
        examples=[] if success else _examples(result),
        message=crash or _sentence(item, success, result, values, missing),
    )


def unbuildable(item: Check, error: Exception) -> ExpectationResult:
    """Return the failure of an expectation whose arguments Great Expectations itself refuses."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = "; ".join(lines[1:] if len(lines) > 1 else lines)
    return _result(item, success=False, message=f"Great Expectations refuses these arguments: {text}")


def _result(item: Check, **found: Any) -> ExpectationResult:
    arguments = item.arguments
    return ExpectationResult(
        expectation=item.expectation,
        origin=item.origin,
        column=arguments.get("column"),
        arguments=arguments,
        description=item.description,
        severity=arguments.get("severity", "critical"),
        fix="" if found["success"] else item.fix,
        **found,
    )


def _counts(result: dict[str, Any], looked: LookedAt | None) -> tuple[int | None, int | None]:
    """Return how many values were looked at, and how many were missing; None where nobody counted."""
    if "element_count" in result:
        missing = result.get("missing_count") or 0
        return result["element_count"] - missing, missing
    return (None, None) if looked is None else (looked.rows - looked.missing, looked.missing)


def _sentence(item: Check, success: bool, result: dict[str, Any], values: int | None, missing: int | None) -> str:
    left_out = (
        f" {missing:,} more {'is missing and was' if missing == 1 else 'are missing and were'} not checked."
        if missing
        else ""
    )
    if result.get("unexpected_count") is not None and "element_count" in result:
        return _count_sentence(item, result, values or 0) + left_out
    over = f" over {values:,} values" if values is not None else ""
    if "partial_missing_list" in result and not success:
        return f"Missing: {', '.join(str(value) for value in result['partial_missing_list'])}."
    if result.get("observed_value") is not None:
        return f"Observed: {plain(result['observed_value'])}{over}.{left_out}"
    return f"{'Holds' if success else 'Does not hold'}{over}.{left_out}"


def _count_sentence(item: Check, result: dict[str, Any], total: int) -> str:
    unexpected = result["unexpected_count"]
    allowed = f"; {100 * (1 - item.arguments['mostly']):.3g} % may" if "mostly" in item.arguments else ""
    if item.arguments.get("column") == LEAK_COLUMN:
        return f"{unexpected:,} of {total:,} samples are in train as well{allowed}."
    if unexpected == 0:
        return f"Holds for all {total:,} samples."
    percent = f"{plain(result.get('unexpected_percent')) or 0:.3g} %"
    return f"{unexpected:,} of {total:,} samples ({percent}) break it{allowed}."


def _examples(result: dict[str, Any]) -> list[Example]:
    values = result.get("partial_unexpected_list") or []
    places = result.get("partial_unexpected_index_list") or [None] * len(values)
    return [_example(value, place) for value, place in zip(values, places, strict=False)]


def _example(value: Any, place: str | None) -> Example:
    if place is None:
        return Example(value=plain(value))
    name, _, file = place.partition("] ")
    split, _, index = name.rstrip("]").rpartition("[")
    return Example(value=plain(value), split=split, index=int(index), place=file or None)


def _exception(info: dict[str, Any]) -> str:
    """Return what went wrong inside Great Expectations, in one sentence, or "" if nothing did."""
    # Either one record, or one for each metric that could not be computed.
    records = [info] if "raised_exception" in info else list(info.values())
    for record in records:
        if record.get("raised_exception"):
            lines = str(record.get("exception_message") or "no message").strip().splitlines()
            return f"Great Expectations could not evaluate it: {lines[-1].strip()}"
    return ""


def plain(value: Any) -> Any:
    """Return ``value`` as JSON can hold it: numpy scalars unwrapped, missing and not-a-number as None."""
    if type(value).__name__ in ("NAType", "NaTType"):  # by name, so that pandas need not be imported
        return None
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
