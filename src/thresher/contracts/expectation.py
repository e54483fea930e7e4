"""One line of a contract, as a recipe writes it."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from pydantic import ConfigDict, GetJsonSchemaHandler, RootModel, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from thresher.adapters.great_expectations import class_names, load_schema
from thresher.contracts import conditions
from thresher.contracts.schemas import allowed_arguments, expected_instead
from thresher.errors import nearest

EXAMPLE = "expect_column_values_to_be_between: {column: label, min_value: 0, max_value: 9}"


class Expectation(RootModel[dict[str, dict[str, Any]]]):
    """A Great Expectation by its own name: ``expect_column_values_to_not_be_null: {column: label}``.

    Name and arguments are checked against the JSON schemas that Great Expectations ships, without importing it.
    """

    model_config = ConfigDict(frozen=True)

    @property
    def name(self) -> str:
        """The expectation in Great Expectations' own words."""
        return next(iter(self.root))

    @property
    def arguments(self) -> dict[str, Any]:
        """The expectation's arguments, as the recipe gives them."""
        return self.root[self.name]

    @model_validator(mode="before")
    @classmethod
    def _check(cls, given: Any) -> dict[str, dict[str, Any]]:
        if not isinstance(given, dict) or len(given) != 1:
            raise ValueError(f"expected one expectation with its arguments, such as '{EXAMPLE}', got {given!r}")
        name, arguments = next(iter(given.items()))
        if name not in class_names():
            raise ValueError(_unknown_name(str(name)))
        if not isinstance(arguments or {}, dict):
            raise ValueError(f"{name}: expected arguments as a mapping, such as '{EXAMPLE}', got {arguments!r}")
        # None is GX's own default of whatever may be left out, and a date travels as text through JSON.
        plain = {key: _plain(value) for key, value in (arguments or {}).items() if value is not None}
        problems = _wrong_names(name, plain) + _wrong_values(name, plain)
        if problems:
            raise ValueError(f"{name}: {'; '.join(problems)}")
        return {name: plain}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return a schema from which an editor completes expectations and arguments."""
        return {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
            "properties": {name: _editor_schema(name) for name in class_names()},
        }


Contract = list[Expectation]


class ContractLines(RootModel[Contract]):
    """A contract as a node receives it: Kedro turns parameters into classes, not into lists of them."""


def _editor_schema(name: str) -> dict[str, Any]:
    schema = load_schema(name)
    arguments = allowed_arguments(name)
    return {
        "description": schema["properties"]["metadata"]["properties"]["short_description"]["const"],
        "type": "object",
        "properties": {key: {"description": part.get("description", "")} for key, part in arguments.items()},
        "required": schema.get("required", []),
        "additionalProperties": False,
    }


def _unknown_name(name: str) -> str:
    hint = nearest(name, class_names()).split(" Allowed:")[0]
    return (
        f"unknown expectation '{name}'. "
        + (f"{hint} " if hint.startswith("Did") else "")
        + "Allowed: the expectations of https://greatexpectations.io/expectations that run on pandas"
    )


def _wrong_names(name: str, arguments: dict[str, Any]) -> list[str]:
    allowed = allowed_arguments(name)
    required = load_schema(name).get("required", [])
    unknown = [f"unknown argument '{key}'. {nearest(str(key), allowed)}" for key in arguments if key not in allowed]
    missing = [f"argument '{key}' is missing" for key in required if key not in arguments]
    bounds = {"min_value", "max_value"}
    if name.endswith("_to_be_between") and bounds <= set(allowed) and not bounds & set(arguments):
        missing.append("give min_value, max_value or both")
    return unknown + missing


def _wrong_values(name: str, arguments: dict[str, Any]) -> list[str]:
    allowed = allowed_arguments(name)
    problems = []
    for key, value in arguments.items():
        expected = expected_instead(value, allowed[key], name) if key in allowed else ""
        if expected:
            problems.append(f"{key}: expected {expected}, got {value!r}")
    if _holds_python(arguments.get("row_condition")):
        problems.append('row_condition: expected text such as \'col("split") == "test"\', not a pass_through_filter')
    if problem := conditions.problem(arguments.get("row_condition")):
        problems.append(problem)
    if arguments.get("mostly") == 0:
        problems.append("mostly: 0 lets every value break it: expected a number above 0")
    problems += [f"{key}: {problem}" for key in ("regex",) if (problem := _broken_pattern(arguments.get(key)))]
    lowest, highest = arguments.get("min_value"), arguments.get("max_value")
    if isinstance(lowest, (int, float)) and isinstance(highest, (int, float)) and lowest > highest:
        problems.append(f"min_value {lowest} is above max_value {highest}")
    return problems


def _broken_pattern(pattern: Any) -> str:
    try:
        re.compile(pattern if isinstance(pattern, str) else "")
    except re.error as error:
        return f"not a regular expression ({error})"
    return ""


def _holds_python(condition: Any) -> bool:
    if isinstance(condition, dict):
        return "pass_through_filter" in condition or any(_holds_python(part) for part in condition.values())
    return isinstance(condition, list) and any(_holds_python(part) for part in condition)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value
