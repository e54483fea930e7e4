"""The base of every typed section of a recipe."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError


class Config(BaseModel):
    """A typed piece of a recipe: unknown keys are errors, values never change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, populate_by_name=True)


def say_problems(error: ValidationError, config: type[Config]) -> str:
    """Return what is wrong with the settings of ``config`` in one line, and which keys it has."""
    problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
    return f"{problems}. Allowed keys: {', '.join(config.model_fields)}."
