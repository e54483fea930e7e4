"""Shipped recipes are sound, and the published JSON schema takes what the reader takes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from thresher.recipe import Recipe, dump
from thresher.recipe.reading import read_recipe

PROJECT = Path(__file__).parents[2]
SHIPPED = sorted((PROJECT / "pipelines").glob("*.yml"))


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    values = Recipe.model_json_schema(by_alias=True)
    Draft202012Validator.check_schema(values)
    return Draft202012Validator(values)


@pytest.fixture
def digits_recipe() -> dict[str, Any]:
    values = yaml.safe_load((PROJECT / "pipelines" / "digits.yml").read_text(encoding="utf-8"))
    assert isinstance(values, dict)
    return values


def test_recipes_are_shipped() -> None:
    assert {"digits", "fashion_mnist"} <= {path.stem for path in SHIPPED}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_recipe_is_the_same_after_it_was_dumped_and_read_again(path: Path) -> None:
    recipe = read_recipe(path)
    assert Recipe.model_validate(yaml.safe_load(yaml.safe_dump(dump(recipe)))) == recipe


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_schema_takes_shipped_recipes_as_written_and_as_dumped(path: Path, schema: Draft202012Validator) -> None:
    schema.validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    schema.validate(dump(read_recipe(path)))


@pytest.mark.parametrize(
    "change",
    [
        {"modell": {"kind": "lenet"}},
        {"model": {"kind": "lenett"}},
        {"training": {"epochs": 0}},
        {"training": {"batch_size": 0}},
        {"training": {"batch_size": "half"}},
        {"candidates": {"half": [{"kind": "prune_channels", "ratio": 2}]}},
        {"candidates": {"half": []}},
        {"candidates": {"half": {"form": "float", "steps": [{"kind": "finetune"}]}}},
        {"data": {"modality": "image", "train": "a", "test": "b", "contract": [{"expect_nothing": {}}]}},
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(
    change: dict[str, Any], schema: Draft202012Validator, digits_recipe: dict[str, Any]
) -> None:
    schema.validate(digits_recipe)
    assert not schema.is_valid({**copy.deepcopy(digits_recipe), **change})
