"""Recipes written for one test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from thresher.errors import Problem, RecipeError
from thresher.recipe.reading import read_recipe

SOUND = """\
task: classification
data: {modality: image, train: clothes.train, test: clothes.test}
model: {kind: lenet}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Write text as the recipe `clothes`."""
    (tmp_path / "pipelines").mkdir()

    def write(text: str, name: str = "clothes") -> Path:
        path = tmp_path / "pipelines" / f"{name}.yml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def problems_of(write: Callable[[str], Path]) -> Callable[[str], list[Problem]]:
    """Read text as the recipe `clothes`, which must be refused, and return why."""

    def problems_of(text: str) -> list[Problem]:
        with pytest.raises(RecipeError) as caught:
            read_recipe(write(text))
        return caught.value.problems

    return problems_of


@pytest.fixture
def problems_with(problems_of: Callable[[str], list[Problem]]) -> Callable[..., list[Problem]]:
    """Give a sound recipe other sections, and return what is wrong with it."""

    def problems_with(**sections: Any) -> list[Problem]:
        return problems_of(yaml.safe_dump({**yaml.safe_load(SOUND), **sections}))

    return problems_with
