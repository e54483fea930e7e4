"""Whatever an author does to a recipe, reading it gives a recipe or its problems, never a traceback."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.errors import RecipeError
from thresher.recipe import Recipe, dump
from thresher.recipe.reading import read_recipe

TEXT = (Path(__file__).parents[2] / "pipelines" / "digits.yml").read_text(encoding="utf-8")
WORDS = ("kind", "from", "float", "half_channels", "int8", "steps", "full", "[key]", "int", "adam", "speedup_batch7")
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.sampled_from(WORDS)
    | st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=8)
)
values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(scalars, scalars, max_size=3)


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every (container, key or index) of ``node``."""
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else []
    for key in keys:
        yield node, key
        yield from places(node[key])


@st.composite
def edited_recipes(draw: st.DrawFn) -> dict[str, Any]:
    recipe = copy.deepcopy(yaml.safe_load(TEXT))
    for _ in range(draw(st.integers(1, 3))):
        container, key = draw(st.sampled_from(list(places(recipe)) or [(recipe, "task")]))
        edit = draw(st.sampled_from(["delete", "set", "rename", "nest", "wrap"]))
        if edit == "delete":
            container.pop(key, None) if isinstance(container, dict) else container.pop(key)
        elif edit == "set":
            container[key] = draw(values)
        elif edit == "rename" and isinstance(container, dict):
            container[draw(scalars)] = container.pop(key, None)
        elif edit == "nest":
            container[key] = {draw(scalars): container.get(key) if isinstance(container, dict) else container[key]}
        else:
            container[key] = [container.get(key) if isinstance(container, dict) else container[key]]
    return recipe


def read(text: str) -> Recipe | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "edited.yml"
        path.write_text(text, encoding="utf-8")
        try:
            return read_recipe(path)
        except RecipeError as error:
            assert error.problems
            return None


@settings(max_examples=80, deadline=None)
@given(edited_recipes())
def test_an_edited_recipe_is_read_or_refused(recipe: dict[str, Any]) -> None:
    result = read(yaml.safe_dump(recipe, allow_unicode=True))
    if result is not None:
        assert dump(Recipe.model_validate(dump(result))) == dump(result)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, len(TEXT)), st.integers(0, 8), st.text(st.sampled_from("{}[]:,-#&*!|>'\"%@\n\t a1\\\0é"), max_size=4)
)
def test_a_file_with_damaged_text_is_read_or_refused(start: int, cut: int, inserted: str) -> None:
    read(TEXT[:start] + inserted + TEXT[start + cut :])
