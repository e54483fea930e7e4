"""What a `row_condition` compares: Great Expectations' one comparison as text, or its conditions as mappings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

TEXT_CONDITION = re.compile(
    r"""\s*col\("(?P<column>[^"]+)"\)\s*
    (?:\.notnull\(\)|(?P<operator>==|!=|>=|<=|>|<)\s*
    (?:(?P<number>[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)|"(?P<double>[^"]*)"|'(?P<single>[^']*)'
    |date\((?:"[^"]*"|'[^']*')\)))\s*""",
    re.VERBOSE | re.IGNORECASE,
)
"""The grammar of great_expectations.expectations.legacy_row_conditions, of the whole text: Great Expectations itself
reads one comparison and leaves out in silence whatever follows it, such as `and ...`."""


@dataclass(frozen=True)
class Comparison:
    """A column with what it is compared with: texts and numbers; nothing where it is only asked whether it is there."""

    column: str
    values: tuple[Any, ...] = ()


def problem(condition: Any) -> str:
    """Return what is wrong with a `row_condition` that is text, or ""."""
    if not isinstance(condition, str) or TEXT_CONDITION.fullmatch(condition):
        return ""
    return (
        f'row_condition: expected one comparison such as \'col("split") == "test"\', got {condition!r}; several are '
        "written as {type: and, conditions: [{type: comparison, column: {name: split}, operator: ==, parameter: test}]}"
    )


def comparisons(condition: Any) -> list[Comparison]:
    """Return what ``condition``, a recipe's `row_condition`, compares; nothing for what is no condition."""
    return list(_comparisons(condition))


def _comparisons(condition: Any) -> Iterable[Comparison]:
    if isinstance(condition, str):
        found = TEXT_CONDITION.fullmatch(condition)
        if found:
            texts = [text for text in (found["double"], found["single"]) if text is not None]
            numbers = [float(found["number"])] if found["number"] else []
            yield Comparison(found["column"], (*texts, *numbers))
    elif isinstance(condition, dict):
        column = condition.get("column")
        if isinstance(column, dict) and "name" in column:
            given = condition.get("parameter")
            yield Comparison(
                str(column["name"]), tuple(given) if isinstance(given, list) else (given,) * (given is not None)
            )
        for part in condition.get("conditions") or ():
            yield from _comparisons(part)
