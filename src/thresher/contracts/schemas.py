"""What Great Expectations' own JSON schemas say about the arguments of an expectation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from thresher.adapters.great_expectations import load_schema

# Arguments that steer GX itself, or hold what a check fills in, and so mean nothing in a recipe. condition_parser is
# among them because "pandas" hands row_condition to DataFrame.query, which runs Python: a recipe is data.
NOT_FOR_RECIPES = {
    "batch_id", "catch_exceptions", "condition_parser", "id", "library_metadata", "meta", "metadata",
    "rendered_content", "result_format", "windows",
}  # fmt: skip
PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "array": (list, tuple),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "object": (Mapping,),
    "string": (str,),
}
IN_WORDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "a mapping",
    "string": "text",
}


def allowed_arguments(expectation: str) -> dict[str, dict[str, Any]]:
    """Return the schema of every argument that a recipe may give to ``expectation``."""
    return {name: part for name, part in load_schema(expectation)["properties"].items() if name not in NOT_FOR_RECIPES}


def expected_instead(value: Any, part: dict[str, Any], expectation: str) -> str:
    """Return in words what an argument must be, or "" when ``value`` is that.

    ``multipleOf`` is left out: GX publishes it for forms only (mostly: 0.999 is fine), and so are the item types of
    ``value_set``, which GX itself does not check.
    """
    kinds = _alternatives(part, load_schema(expectation).get("definitions", {}))
    if any(_matches(value, kind) for kind in kinds):
        return ""
    return " or ".join(dict.fromkeys(_in_words(kind) for kind in kinds))


def _alternatives(part: dict[str, Any], definitions: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in part:
        return _alternatives(definitions[part["$ref"].rsplit("/", 1)[-1]], definitions)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in part:
            kinds = [kind for choice in part[key] for kind in _alternatives(choice, definitions)]
            # A bare object is GX's {"$PARAMETER": name}, which is filled in at run time by callers that we are not.
            named = [kind for kind in kinds if kind.get("type") != "object" or "properties" in kind]
            return named or kinds
    return [part]


def _matches(value: Any, kind: dict[str, Any]) -> bool:
    if "enum" in kind:
        return value in kind["enum"]
    types = PYTHON_TYPES.get(kind.get("type", ""), (object,))
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types and object not in types):
        return False
    if kind.get("format") in ("date", "date-time"):
        return _is_date(value)
    if isinstance(value, (str, list, tuple)):
        shortest = kind.get("minLength", kind.get("minItems", 0))
        return bool(shortest <= len(value) <= kind.get("maxLength", float("inf")))
    if isinstance(value, Mapping):
        return set(kind.get("required", ())) <= set(value)
    return bool(kind.get("minimum", value) <= value <= kind.get("maximum", value))


def _is_date(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _in_words(kind: dict[str, Any]) -> str:
    if "enum" in kind:
        return "one of " + ", ".join(kind["enum"])
    if "format" in kind:
        return "a date"
    words = IN_WORDS.get(kind.get("type", ""), "any value")
    if "minimum" in kind:
        words += f" from {kind['minimum']:g}" + (f" to {kind['maximum']:g}" if "maximum" in kind else "")
    if kind.get("minLength") or kind.get("minItems"):
        words += " that is not empty"
    if kind.get("maxLength"):
        words += f" of at most {kind['maxLength']} character{'s' if kind['maxLength'] > 1 else ''}"
    if kind.get("required"):
        words += " with " + ", ".join(kind["required"])
    return words
