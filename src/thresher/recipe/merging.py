"""Overlays: what an environment or a parameter changes of a recipe."""

from __future__ import annotations

from typing import Any


def merge(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``overlay`` on top, mapping by mapping; lists and values are replaced whole.

    A mapping of another `kind` replaces the old one: the keys of one kind mean nothing to another.
    """
    merged = dict(base)
    for key, value in overlay.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and value.get("kind", old.get("kind")) == old.get("kind"):
            merged[key] = merge(old, value)
        else:
            merged[key] = value
    return merged
