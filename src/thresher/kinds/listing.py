"""What `thresher kinds` prints: every kind, what is true of it, where it comes from, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from thresher.errors import nearest
from thresher.kinds.record import GROUPS, Kind, KindError, ModalityKind
from thresher.kinds.registry import OURS, Entry, Registry

NOT_SHOWN = ("worse_word", "options", "graph_options")
"""Traits that say nothing of how a kind is used."""


class Line(NamedTuple):
    """One kind.

    Attributes:
        about: what is true of it.
        problem: why it cannot be used, empty where it can be.
    """

    group: str
    name: str
    source: str
    about: str
    problem: str


def list_kinds(registry: Registry, group: str | None = None) -> Iterator[Line]:
    """Yield a line for each kind of ``group``, or of all groups; a name that is given twice has two."""
    order = list(GROUPS)
    for entry in sorted(registry, key=lambda entry: order.index(entry.group)):
        if group in (None, entry.group):
            about, problem = _examine(registry, entry)
            yield Line(entry.group, entry.name, entry.source, about, problem)


def _examine(registry: Registry, entry: Entry) -> tuple[str, str]:
    try:
        registry.require_one(entry.group, entry.name)
        kind = entry.load()
        if entry.source != OURS:  # the tests import all of ours
            kind.check()
            _check_modalities(registry, kind)
    except KindError as error:
        return "", str(error)
    return _describe(kind), ""


def _check_modalities(registry: Registry, kind: Kind) -> None:
    known = registry.names(ModalityKind.group)
    for name in getattr(kind, "takes", ()):
        if name not in known:
            raise KindError(
                f"{kind.group} '{kind.name}' takes '{name}', which is not a modality. {nearest(name, known)}"
            )


def _describe(kind: Kind) -> str:
    return ", ".join(_words(name, value) for name, value in kind.traits.items() if name not in NOT_SHOWN)


def _words(trait: str, value: Any) -> str:
    """Return a trait in words, such as `takes image or text`, `ends chain`, `no channels`."""
    words = trait.removeprefix("is_").removeprefix("has_").replace("_", " ")
    if isinstance(value, bool):
        return words if value else f"{'not' if trait.startswith('is_') else 'no'} {words}"
    if trait == "span":
        return f"{words} {value[0]:g} to {value[1]:g}"
    if isinstance(value, tuple):
        return f"{words} {' or '.join(each if isinstance(each, str) else each[0] for each in value)}"
    return f"{words} {value}"
