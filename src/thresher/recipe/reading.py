"""Reads a file in pipelines/ as a checked recipe, or raises all of its problems at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from thresher.errors import DataError, Problem, RecipeError, nearest
from thresher.recipe import Recipe, is_valid_name
from thresher.recipe.partial import read_partial
from thresher.recipe.problems import explain_all
from thresher.recipe.rules import find_problems
from thresher.recipe.source import Place, find_line, read_yaml, short_path

FOLDER = "pipelines"


@dataclass(frozen=True)
class RecipeSource:
    """A recipe as written: its values before any check, and where each stands."""

    name: str
    file: str
    values: dict[str, Any]
    lines: dict[Place, int]


def find_recipe_files(project: Path) -> dict[str, Path]:
    """Return recipe name -> file for every recipe of ``project``, in the order of their names."""
    return {path.stem: path for path in sorted((project / FOLDER).glob("*.yml"))}


def read_source(path: Path) -> RecipeSource:
    """Return the file at ``path`` unchecked.

    Raises:
        RecipeError: a file that is no YAML mapping.
    """
    values, lines = read_yaml(path)
    return RecipeSource(path.stem, short_path(path), values, lines)


def check_recipe(
    source: RecipeSource,
    values: dict[str, Any] | None = None,
    where: Callable[[Place], str | None] = lambda place: None,
) -> Recipe:
    """Return the typed recipe.

    Args:
        source: the file, for the places of problems.
        values: what to check in place of the file's own: the same with overlays and parameters merged in.
        where: says where a value stands that is not the file's own, None where it is.

    Raises:
        RecipeError: with every problem that was found.
    """
    if not is_valid_name(source.name):
        what = f"'{source.name}' cannot name a pipeline"
        raise RecipeError(
            source.name,
            [Problem(source.file, what, "Use lower-case letters, digits and _, but not every_recipe or run.")],
        )
    given = source.values if values is None else values
    recipe, found = None, []
    try:
        recipe = Recipe.model_validate(given)
    except ValidationError as error:
        found = explain_all(error.errors(include_url=False), Recipe)
    found += find_problems(read_partial(given))
    if found or recipe is None:
        raise RecipeError(source.name, locate_all(source, found, where))
    return recipe


def read_recipe(path: Path) -> Recipe:
    """Return the checked recipe in the file at ``path``.

    Raises:
        RecipeError: with every problem that was found.
    """
    return check_recipe(read_source(path))


def find_recipe(name: str, project: Path) -> Path:
    """Return the file of the recipe ``name``, which may also be given as a path.

    Raises:
        DataError: no such recipe; names the nearest.
    """
    files = find_recipe_files(project)
    if name in files:
        return files[name]
    if Path(name).suffix in (".yml", ".yaml") and Path(name).is_file():
        return Path(name)
    if (project / FOLDER / f"{name}.yaml").is_file():
        raise DataError(f"{FOLDER}/{name}.yaml: is not read: a recipe's file ends in .yml. Fix: rename it {name}.yml.")
    raise DataError(f"There is no recipe '{name}' in {FOLDER}/. {nearest(name, files)}")


def locate_all(
    source: RecipeSource,
    found: list[tuple[Place, str, str]],
    where: Callable[[Place], str | None] = lambda place: None,
) -> list[Problem]:
    """Return what was ``found``, each with its file and line, in the order of the lines."""
    placed = sorted(((find_line(place, source.lines) or 0, place, what, fix) for place, what, fix in found),
                    key=lambda problem: problem[0])  # fmt: skip
    return [Problem(where(place) or _in_file(source, line, place), what, fix) for line, place, what, fix in placed]


def _in_file(source: RecipeSource, line: int, place: Place) -> str:
    file = f"{source.file}:{line}" if line else source.file
    return f"{file} {'.'.join(map(str, place))}"
