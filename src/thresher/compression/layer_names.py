"""Layers by name, as a recipe writes them: in a pattern, * and ? stand for any letters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TypeVar

from thresher.errors import CompressionError, nearest

Value = TypeVar("Value")


def match_layers(patterns: Iterable[str], layers: Sequence[str], where: str) -> set[str]:
    """Return the names among ``layers`` that ``patterns`` mean.

    Raises:
        CompressionError: a pattern that means none.
    """
    return {name for pattern in patterns for name in _meant(pattern, layers, where)}


def match_values(values: Mapping[str, Value], layers: Sequence[str], where: str) -> dict[str, Value]:
    """Return the layers that the patterns in ``values`` mean, each with its value; a name alone counts over patterns.

    Raises:
        CompressionError: a pattern that means no layer, or two that give one layer different values.
    """
    found: dict[str, Value] = {}
    by: dict[str, str] = {}
    for pattern, value in values.items():
        for name in _meant(pattern, layers, where):
            if name in values and pattern != name:
                continue
            if found.get(name, value) != value:
                raise CompressionError(
                    f"{where}: '{by[name]}' and '{pattern}' give {name} different values, {found[name]} and {value}. "
                    f"Allowed: one of them, or {name} by its own name."
                )
            found[name], by[name] = value, pattern
    return found


def _meant(pattern: str, layers: Sequence[str], where: str) -> list[str]:
    """Return the names that ``pattern`` means; one that is a layer's own name, brackets and all, means that layer."""
    meant = [pattern] if pattern in layers else [name for name in layers if fnmatchcase(name, pattern)]
    if not meant:
        raise CompressionError(f"{where}: no layer is called '{pattern}'. {nearest(pattern, layers)}")
    return meant
