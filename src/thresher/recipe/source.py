"""A recipe file as YAML: its values, and the line of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from thresher.errors import Problem, RecipeError

Place = tuple[str | int, ...]
"""The keys and indices on the way from the top of a recipe to one of its values."""


def read_yaml(path: Path) -> tuple[dict[str, Any], dict[Place, int]]:
    """Return the mapping in ``path`` and the line (from 1) of every key and list item by its place.

    Raises:
        RecipeError: not YAML, not a mapping, or a key given twice.
    """
    file = short_path(path)
    lines: dict[Place, int] = {}
    twice: list[Problem] = []
    try:
        text = path.read_text(encoding="utf-8")
        root, values = yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)
        if root is not None:
            _collect(root, (), lines, twice, file)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else file
        what = getattr(error, "problem", None) or "not valid YAML"
        raise RecipeError(path.stem, [Problem(where, what, "Check the indentation and quotes there.")]) from error
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a value that only looks like a date or a number
        raise RecipeError(path.stem, [Problem(file, f"cannot be read: {error}")]) from error
    except RecursionError as error:
        what = "nested too deep, or an alias that holds itself"
        raise RecipeError(path.stem, [Problem(file, what, "Write the values out.")]) from error
    if not isinstance(values, dict):
        what = "a recipe is a mapping of keys to values; this file holds none"
        raise RecipeError(path.stem, [Problem(file, what, "Start from pipelines/digits.yml.")])
    if twice:
        raise RecipeError(path.stem, twice)
    return values, lines


def short_path(path: Path) -> str:
    """Return the file with its folder, as problems name it: pipelines/digits.yml."""
    return "/".join(path.absolute().parts[-2:])


def find_line(place: Place, lines: dict[Place, int]) -> int | None:
    """Return the line of ``place``, or of its nearest ancestor; parts that the file leaves out are passed over."""
    known: Place = ()
    for part in place:
        if (*known, part) in lines:
            known = (*known, part)
    return lines.get(known)


def _collect(node: yaml.Node, place: Place, lines: dict[Place, int], twice: list[Problem], file: str) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*place, key.value)
            line = key.start_mark.line + 1
            if below in lines:
                what = f"the key '{key.value}' stands twice (first in line {lines[below]})"
                twice.append(Problem(f"{file}:{line}", what, "Keep one of them."))
            lines[below] = line
            _collect(value, below, lines, twice, file)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*place, index)] = item.start_mark.line + 1
            _collect(item, (*place, index), lines, twice, file)
