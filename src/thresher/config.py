"""The base of every typed section of a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from thresher.errors import nearest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class Config(BaseModel):
    """A typed piece of a recipe: unknown keys are errors, values never change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, populate_by_name=True)


class KindConfig(Config):
    """The settings of a kind, which a recipe names by its `kind`."""

    kind: str


def describe_problems(error: ValidationError, config: type[Config]) -> str:
    """Return what is wrong with the settings of ``config`` in one line, and which keys it has."""
    problems = "; ".join(_describe_problem(".".join(map(str, item["loc"])), item, config) for item in error.errors())
    return f"{problems}. Allowed keys: {', '.join(config.model_fields)}."


def _describe_problem(place: str, item: ErrorDetails, config: type[Config]) -> str:
    if item["type"] != "extra_forbidden":
        return f"{place}: {item['msg']}"
    near, _, _ = nearest(place, config.model_fields).partition(" Allowed: ")
    return f"there is no key '{place}'" + (f" ({near})" if near.startswith("Did") else "")
