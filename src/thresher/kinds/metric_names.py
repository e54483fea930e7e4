"""Names of metrics: a kind, and for some of them what they are of, in brackets, such as `recall[spam]`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from thresher.errors import DataError, nearest
from thresher.kinds.record import KindError, MetricKind, read_costs
from thresher.kinds.registry import registry


def find_whole(name: str) -> MetricKind | None:
    """Return the metric ``name`` that is no loss, None where there is none; raises a KindError for wrong brackets."""
    kinds = registry()
    base, bracket, argument = name.removesuffix("]").partition("[") if name.endswith("]") else (name, "", "")
    if base not in kinds.names(MetricKind.group):
        return None
    return kinds.find(MetricKind, base).of(argument if bracket else None)


def metric_patterns(task: str | None = None) -> list[str]:
    """Return how the names of all metrics with an implementation are written, or of those of one task."""
    kinds = [
        kind for kind in registry().usable(MetricKind) if kind.is_computed and kind.task in (None, task or kind.task)
    ]
    return [*(kind.pattern for kind in kinds), *(kind.name for kind in kinds if kind.may_be_bare)]


def require_defined(kinds: Iterable[MetricKind], labels: Any, class_names: tuple[str, ...], of: str = "test") -> None:
    """Check that each of ``kinds`` has a value of ``labels``; raises a DataError for one that has none."""
    for kind in kinds:
        if why := why_undefined(kind, labels, class_names):
            fix = "" if "Fix: " in why else " Fix: other samples in that split, or another metric."
            raise DataError(f"The metric {kind.name} has no value on the {of} split: {why}.{fix}")


def why_undefined(kind: MetricKind, labels: Any, class_names: tuple[str, ...]) -> str:
    """Return why ``kind`` has no value of ``labels``, or nothing; raises a DataError for a class that is not there."""
    arguments = arguments_of(kind, class_names)
    return str(kind.load("requires")(labels, class_names, *arguments)) if kind.requires else ""


def arguments_of(kind: MetricKind, class_names: tuple[str, ...]) -> tuple[Any, ...]:
    """Return what stands in the brackets as further arguments: a class's index, a number, or an index and two costs.

    Raises:
        DataError: there is no such class.
    """
    if not kind.argument:
        return ()
    if not kind.of_class:
        return (float(kind.argument),)
    if kind.of_class not in class_names:
        near = nearest(kind.of_class, class_names)
        raise DataError(f"The metric {kind.name}: there is no class '{kind.of_class}'. {near}")
    costs = read_costs(kind.argument) if kind.takes == "costs" else None
    return (class_names.index(kind.of_class), *(costs[1:] if costs else ()))


@dataclass(frozen=True)
class ComputedMetric:
    """Marks a field as holding the name of a metric with an implementation: `Annotated[str, ComputedMetric()]`.

    Attributes:
        others: what else it may be.
    """

    others: tuple[str, ...] = ()

    def _validate(self, value: Any) -> str:
        if value in self.others:
            return str(value)
        try:
            kind = find_whole(value) if isinstance(value, str) else None
        except KindError as error:
            raise ValueError(str(error)) from error
        if kind is not None and kind.is_computed:
            return str(value)
        if registry().problem:
            raise ValueError(f"there is no {MetricKind.group} '{value}' here. {registry().problem}")
        expected = " or ".join(", ".join(f"'{name}'" for name in (*self.others, *metric_patterns())).rsplit(", ", 1))
        raise PydanticKnownError("literal_error", {"expected": expected})

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        kinds = [kind for kind in registry().usable(MetricKind) if kind.is_computed]
        bare = [kind.name for kind in kinds if not kind.takes or kind.may_be_bare]
        bracketed = "|".join(re.escape(kind.name) for kind in kinds if kind.takes)
        return {"anyOf": [{"enum": [*self.others, *bare]}, {"pattern": rf"^({bracketed})\[.+\]$"}], "type": "string"}
