"""A value of a wrong type, for every setting: the answer says what is allowed in words of ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from thresher.config import Config, KindConfig
from thresher.recipe import Data, Recipe
from thresher.recipe.problems import explain_all
from thresher.training import Training

WRONG = ("NAME", -1, 2.5, [1], {"a": 1}, True, 10**30)


def kinds(base: type[KindConfig] = KindConfig) -> Iterator[type[KindConfig]]:
    for config in base.__subclasses__():
        if config.__module__.startswith("thresher."):
            yield config
        yield from kinds(config)


def within(annotation: Any) -> Iterator[type[Config]]:
    """Yield the settings that a value of this type has, and theirs."""
    if isinstance(annotation, type) and issubclass(annotation, Config):
        config: type[Config] = annotation
        yield config
        for field in config.model_fields.values():
            yield from within(field.annotation)
    for part in get_args(annotation):
        yield from within(part)


def settings() -> set[type[Config]]:
    """Return all that a recipe can say; other records of ours are never written by hand."""
    return {each for root in (Recipe, *kinds()) for each in within(root)}


def answers(config: type[BaseModel], name: str, value: Any) -> list[str]:
    try:
        config.model_validate({name: value})
    except ValidationError as error:
        own = [one for one in error.errors(include_url=False) if one["loc"][:1] == (name,)]
        return [fix for _, _, fix in explain_all(own, config)]
    return []


def test_no_setting_is_answered_in_pydantics_words_alone() -> None:
    told = [
        (config.__name__, name, value, fix)
        for config in sorted(settings(), key=lambda config: f"{config.__module__}.{config.__qualname__}")
        for name, field in config.model_fields.items()
        for value in WRONG
        for fix in answers(config, field.alias or name, value)
    ]
    assert len(told) > 500
    assert [one for one in told if "Input should" in one[-1]] == []


@pytest.mark.parametrize(
    ("config", "name", "value", "expected"),
    [
        (
            Data,
            "validation",
            "NAME",
            "Allowed: a number greater than 0 and less than 1. What it means: Share of",
        ),
        (
            Data,
            "train",
            3,
            "Allowed: text. YAML reads this as no text: write it in quotes. What it means: Catalog entry with",
        ),
        (Data, "contract", "x", "Allowed: a list. What it means: Great Expectations by"),
        (Training, "batch_size", "half", "Allowed: a whole number of at least 1. Or: Allowed: full."),
        (Training, "clip_norm", -1, "Allowed: a number greater than 0, or null. What it means: The longest"),
        (Training, "activation_checkpointing", "perhaps", "Allowed: true or false. What it means: Compute"),
        (Training, "execution", 3, "Allowed: KEY: VALUE pairs. What it means: What changes speed"),
    ],
    ids=["share", "text", "list", "either", "bound", "flag", "pairs"],
)
def test_what_is_allowed_is_told_with_its_bounds_and_meaning(
    config: type[BaseModel], name: str, value: Any, expected: str
) -> None:
    (answer,) = answers(config, name, value)
    assert answer.startswith(expected)
