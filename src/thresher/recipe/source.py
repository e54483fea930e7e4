"""A recipe file as YAML: its values, and the line of each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import ComposerError

from thresher.errors import Problem, RecipeError, nearest

MERGE = "tag:yaml.org,2002:merge"
Place = tuple[str | int, ...]
"""The keys and indices on the way from the top of a recipe to one of its values."""


@dataclass
class YamlFile:
    """A YAML file as it is written.

    Attributes:
        name: the file with its folder, as problems name it.
        values: what it holds, None where it cannot be read.
        lines: the line (from 1) of every key and list item by its place; of a key that `<<` merges in, where it stands.
        problems: what hinders from reading it, and keys that stand twice.
    """

    name: str
    values: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_yaml(path: Path) -> tuple[dict[str, Any], dict[Place, int]]:
    """Return the mapping in ``path`` and the line (from 1) of every key and list item by its place.

    Raises:
        RecipeError: not YAML, not a mapping, or a key given twice.
    """
    file = read_places(path, short_path(path))
    if file.problems:
        raise RecipeError(path.stem, file.problems)
    if not isinstance(file.values, dict):
        what = "a recipe is a mapping of keys to values; this file holds none"
        raise RecipeError(path.stem, [Problem(file.name, what, "Start from pipelines/digits.yml.")])
    return file.values, file.lines


def read_places(path: Path, name: str) -> YamlFile:
    """Return the YAML file at ``path``, with what is wrong with it."""
    file = YamlFile(name)
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        root, file.values = yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)
        if root is not None:
            _collect(root, (), file)
    except yaml.YAMLError as error:
        file.problems = [_explain_yaml(error, text, name)]
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a value that only looks like a date or a number
        file.problems = [Problem(name, f"cannot be read: {error}")]
    except RecursionError:
        what = "nested too deep, or an alias that holds itself"
        file.problems = [Problem(name, what, "Write the values out.")]
    return file


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


def _explain_yaml(error: yaml.YAMLError, text: str, name: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    what = str(getattr(error, "problem", None) or "not valid YAML")
    fix = "Check the indentation and quotes there."
    there = text[mark.index :] if mark else ""
    if there.startswith("\t"):
        fix = "Indent by blanks, not by tabs."
    elif isinstance(error, ComposerError) and (undefined := re.match(r"\*([^\s,\]}]+)", there)):
        fix = nearest(undefined[1], re.findall(r"(?<!\S)&([^\s,\]}]+)", text))
        what = f"the alias *{undefined[1]} is not defined by an anchor &{undefined[1]} above it"
    return Problem(f"{name}:{mark.line + 1}" if mark else name, what, fix)


def _collect(node: yaml.Node, place: Place, file: YamlFile) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*place, key.value)
            line = key.start_mark.line + 1
            if below in file.lines and key.tag != MERGE:
                what = f"the key '{key.value}' appears twice (first in line {file.lines[below]})"
                problem = Problem(f"{file.name}:{line}", what, "Keep one of them.")
                if problem not in file.problems:  # an alias leads to the same lines again
                    file.problems.append(problem)
                continue
            file.lines[below] = line
            _collect(value, below, file)
        for key, value in node.value:
            if key.tag == MERGE:
                _collect_merged(value, place, file)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            file.lines[(*place, index)] = item.start_mark.line + 1
            _collect(item, (*place, index), file)


def _collect_merged(node: yaml.Node, place: Place, file: YamlFile) -> None:
    """Note where the keys stand that `<<` merges into the mapping at ``place``, but for those of its own."""
    parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
    for part in parts:
        merged = YamlFile(file.name)
        _collect(part, place, merged)
        file.lines = {**merged.lines, **file.lines}
