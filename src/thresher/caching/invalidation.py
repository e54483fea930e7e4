"""The one reason why a node runs, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from thresher.caching.fingerprints import ABSENT
from thresher.caching.records import Dependencies, Record

NEVER_RUN = "not run before"
MAX_VALUE = 40


def changed_dependency(old: Dependencies, new: Dependencies) -> str:
    """Return the first of all that changed from ``old`` to ``new``, or nothing."""
    return (
        _first(old.raw, new.raw, lambda name, *_: f"raw data changed: {name}")
        or _first(old.code, new.code, lambda name, *_: f"{name} changed")
        or changed_parameter(old.parameters, new.parameters)
        or _first(old.versions, new.versions, lambda name, was, now: f"{name} {was or 'none'} -> {now or 'none'}")
        or _first(old.files, new.files, lambda name, *_: f"{name.rpartition('/')[2]} changed")
        or _first(old.machine, new.machine, lambda name, was, now: f"another machine: {name} {was} -> {now}")
    )


def changed_parameter(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return the first parameter that changed from ``old`` to ``new`` and how, or nothing."""
    return _first(old, new, _changed_value)


def changed_datasets(record: Record, inputs: Iterable[str], outputs: Iterable[str], recipe: str) -> str:
    """Return which dataset a node reads or makes now and did not before, or no longer, or nothing.

    The order of inputs counts: a function takes them by their places.
    """
    read, made = list(dict.fromkeys(inputs)), list(outputs)
    for names, old, what in (
        (read, record.inputs, "is read now"),
        (record.inputs, read, "is read no more"),
        (made, record.outputs, "was not made before"),
        (record.outputs, made, "is made no more"),
    ):
        new = [own_name(name, recipe) for name in names if name not in old]
        if new:
            return f"{new[0]} {what}" + (f" and {len(new) - 1} more" if len(new) > 1 else "")
    if read != list(record.inputs):
        return "its inputs stand in another order"
    return "its outputs stand in another order" if made != list(record.outputs) else ""


def changed_output(record: Record, fingerprints: Mapping[str, str | None], recipe: str) -> str:
    """Return which output is gone or is not as the node left it, or nothing."""
    for name, left in record.outputs.items():
        if left is None or fingerprints[name] is None:
            return f"{own_name(name, recipe)} is not kept"
        if fingerprints[name] != left:
            return f"output {own_name(name, recipe)} {'deleted' if fingerprints[name] == ABSENT else 'altered'}"
    return ""


def own_name(dataset: str, recipe: str) -> str:
    """Return the name of ``dataset`` within its recipe."""
    return dataset.removeprefix(f"{recipe}.")


def _first(old: Mapping[str, Any], new: Mapping[str, Any], say: Callable[[str, Any, Any], str]) -> str:
    changed = [name for name in {**old, **new} if name not in old or name not in new or old[name] != new[name]]
    if not changed:
        return ""
    # What is in both was changed itself; what came or went mostly follows from that.
    name = min(changed, key=lambda name: (name not in old) + (name not in new))
    others = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return say(name, old.get(name), new.get(name)) + others


def _changed_value(name: str, old: Any, new: Any) -> str:
    return f"{name or 'parameters'} {_shown(old)} -> {_shown(new)}"


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    text = str(value)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 3] + "..."
