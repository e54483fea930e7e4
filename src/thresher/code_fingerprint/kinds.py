"""Kinds as what a fingerprint sees of them: their records, and the modules that these name."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from thresher.kinds.record import GROUPS, Kind
from thresher.kinds.registry import OURS, registry


@dataclass(frozen=True)
class KindCode:
    """One kind.

    Attributes:
        name: as a recipe writes it.
        looked_up_by: the name of its record's class, by which code asks the registry for it, or the module that does.
        place: names its record among files.
        digest: changes with the record.
        settings: the module of its settings, or of what it does where it has none.
        modules: all that its record names.
    """

    name: str
    looked_up_by: str
    place: str
    digest: str
    settings: str
    modules: tuple[str, ...]


def find_kinds(words: Collection[str]) -> tuple[KindCode, ...]:
    """Return Thresher's own kinds, and those of packages and of the project whose names are among ``words``."""
    found = [
        registry().find(GROUPS[entry.group], entry.name)
        for entry in registry()
        if entry.source == OURS or entry.name in words
    ]
    return tuple(code for kind in found for code in _codes(kind))


def _codes(kind: Kind) -> Iterator[KindCode]:
    """Yield what counts wherever ``kind`` is looked up, then each part that one module alone loads."""
    digest = hashlib.sha256(repr(kind).encode()).hexdigest()[:16]
    place, settings = f"kinds/{kind.group}/{kind.name}", next(iter(kind.modules), "")
    yield KindCode(kind.name, type(kind).__name__, place, digest, settings, kind.modules)
    for part, module in kind.loaded_by.items():
        if home := getattr(kind, part).partition(":")[0]:
            yield KindCode(kind.name, module, f"{place}/{part}", digest, settings, (home,))
