"""Overlays: what an environment or a parameter changes of a recipe."""

from __future__ import annotations

import re
from typing import Any

from thresher.errors import ThresherError

ITEM = re.compile(r"(?P<name>[^\[\]]+)(?P<indices>(\[\d+\])+)")


class NoSuchItemError(ThresherError):
    """An overlay of an item that a list does not have."""

    def __init__(self, place: tuple[str, ...], count: int) -> None:
        self.place = place
        self.what = f"the list has no item {place[-1]}"
        self.fix = f"Its items are 0 to {count - 1}." if count else "It is empty."
        super().__init__(f"{'.'.join(place)}: {self.what}. {self.fix}")


def merge(base: dict[str, Any], overlay: dict[str, Any], place: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return ``base`` with ``overlay`` on top, mapping by mapping; lists and values are replaced whole.

    A mapping of another `kind` replaces the old one: the keys of one kind mean nothing to another. A mapping of numbers
    over a list changes these items of it, counted from 0.

    Raises:
        NoSuchItemError: an item that the list does not have.
    """
    merged = dict(base)
    for key, value in overlay.items():
        merged[key] = _merge_one(merged.get(key), value, (*place, str(key)))
    return merged


def name_items(values: dict[str, Any]) -> dict[str, Any]:
    """Return ``values`` in which a key such as `int8[0]` is `int8` with an item `0`."""
    named: dict[str, Any] = {}
    for key, value in values.items():
        inside = name_items(value) if isinstance(value, dict) else value
        found = ITEM.fullmatch(str(key))
        if found:
            key = found["name"]
            for index in reversed(re.findall(r"\d+", found["indices"])):
                inside = {index: inside}
        named = merge(named, {key: inside})
    return named


def _merge_one(old: Any, value: Any, place: tuple[str, ...]) -> Any:
    if not isinstance(value, dict):
        return value
    if isinstance(old, dict) and value.get("kind", old.get("kind")) == old.get("kind"):
        return merge(old, value, place)
    if isinstance(old, list) and value and all(str(key).isdecimal() for key in value):
        return _merge_items(old, value, place)
    if isinstance(old, list) and list(value) == ["steps"]:  # a chain may be written as the bare list of its steps
        return _merge_one(old, value["steps"], (*place, "steps"))
    return value


def _merge_items(old: list[Any], overlay: dict[Any, Any], place: tuple[str, ...]) -> list[Any]:
    items = list(old)
    for key, value in overlay.items():
        if int(key) >= len(items):
            raise NoSuchItemError((*place, str(key)), len(items))
        items[int(key)] = _merge_one(items[int(key)], value, (*place, str(key)))
    return items
