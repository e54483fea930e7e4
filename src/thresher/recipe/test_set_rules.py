"""Rules of further test sets: their names, what may be done to which samples, and what is required on which."""

from __future__ import annotations

from collections.abc import Iterable

from thresher.errors import nearest
from thresher.evaluation.set_comparison import POOLED
from thresher.kinds.record import CorruptionKind
from thresher.kinds.registry import kind_of, registry
from thresher.models import FLOAT
from thresher.recipe.partial import Found, PartialRecipe

TAKEN = {FLOAT: "the unpruned model", POOLED: "all test sets together", "test": "data.test"}


def find_test_set_problems(parts: PartialRecipe) -> Iterable[Found]:
    """Yield every broken rule."""
    yield from _name_problems(parts)
    yield from _corruption_problems(parts)
    allowed = {*parts.tests, *parts.corruptions, *([POOLED] if parts.tests else [])}
    for name, bounds in parts.require_on.items():
        place = ("selection", "require_on", name)
        if name == POOLED and not parts.tests:
            yield place, "there is no test set of other samples to pool with data.test", "Use selection.require."
        elif name not in allowed:
            what = f"there is no test set '{name}' in data.tests or data.corruptions"
            yield place, what, nearest(name, allowed) if allowed else "Name one there."
        elif not bounds:
            yield place, "nothing is required", "Write a metric and its bound, or leave it out."


def _name_problems(parts: PartialRecipe) -> Iterable[Found]:
    for section, names in (("tests", parts.tests), ("corruptions", parts.corruptions)):
        for name in sorted(names):
            taken = TAKEN.get(name) or ("a candidate" if name in parts.names else "")
            if taken:
                yield ("data", section, name), f"this name is taken by {taken}", "Rename it."
            elif section == "corruptions" and name in parts.tests:
                yield ("data", section, name), "data.tests has this name, too", "Rename one of them."


def _corruption_problems(parts: PartialRecipe) -> Iterable[Found]:
    for name, config in parts.corruptions.items():
        kind = kind_of(CorruptionKind, config) if config is not None else None
        if kind is None or parts.modality is None:
            continue
        place = ("data", "corruptions", name)
        if parts.modality not in kind.takes:
            able = [each.name for each in registry().usable(CorruptionKind) if parts.modality in each.takes]
            what = f"{kind.name} is for {' or '.join(kind.takes)}, and data.modality is {parts.modality}"
            yield (*place, "kind"), what, nearest(kind.name, able) if able else "There is none: leave it out."
        elif kind.name == "dropped_samples" and parts.encoding.get("missing") == "refuse":
            what = "it makes missing values, which data.encoding.missing refuses"
            yield (*place, "kind"), what, "Use data.encoding.missing: interpolate, or leave it out."
