"""Rules that cross the sections of a recipe. They work on what could be read of a broken one, too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from thresher.compression.candidate import Candidate, find_chain_problems, find_circle
from thresher.errors import nearest
from thresher.evaluation import Measurement
from thresher.evaluation.metrics import available_metrics
from thresher.evaluation.selection import Requirement, Selection
from thresher.models import FLOAT
from thresher.recipe.source import Place

Found = tuple[Place, str, str]
"""Place, what is wrong, what is allowed."""
Section = TypeVar("Section", bound=BaseModel)


@dataclass(frozen=True)
class Parts:
    """What the rules need of a recipe; a part that could not be read is left out, and its rules with it."""

    names: frozenset[str]
    """Of all candidates, the unreadable ones too."""
    candidates: dict[str, Candidate]
    minimize: str = Selection().minimize
    require: dict[str, Requirement] = field(default_factory=dict)
    batch_sizes: tuple[int, ...] | None = None


def read_parts(values: dict[str, Any]) -> Parts:
    """Return all that can be read of ``values``, the raw recipe."""
    raw = {name: _mapping(values.get(name)) for name in ("candidates", "evaluation", "selection")}
    measurement = _try(Measurement, raw["evaluation"])
    minimize = raw["selection"].get("minimize", Selection().minimize)
    return Parts(
        names=frozenset(map(str, raw["candidates"])),
        candidates=_readable(Candidate, raw["candidates"]),
        minimize=minimize if isinstance(minimize, str) else Selection().minimize,
        require=_readable(Requirement, _mapping(raw["selection"].get("require"))),
        batch_sizes=measurement.batch_sizes if measurement else None,
    )


def find_problems(parts: Parts) -> Iterable[Found]:
    """Yield every broken rule."""
    yield from _candidate_problems(parts)
    if parts.batch_sizes is not None:
        yield from _selection_problems(parts, parts.batch_sizes)


def _candidate_problems(parts: Parts) -> Iterable[Found]:
    for name, candidate in parts.candidates.items():
        others = {FLOAT, *parts.names} - {name}
        place = ("candidates", name, "from")
        if name == FLOAT:
            yield ("candidates", name), "this name is taken by the unpruned model", "Rename it."
        elif circle := find_circle(name, parts.candidates):
            yield place, f"goes in a circle: {' -> '.join(circle)}", "Start one of them from float."
        elif candidate.from_ not in others:
            yield place, f"there is no candidate '{candidate.from_}'", nearest(candidate.from_, others)
    for below, what in find_chain_problems(parts.candidates):
        yield ("candidates", *below), what, "Prune and finetune first, quantize once and last."


def _selection_problems(parts: Parts, batch_sizes: tuple[int, ...]) -> Iterable[Found]:
    metrics = available_metrics(batch_sizes)
    minimizable = {name for name, metric in metrics.items() if metric.smaller_is_better}
    if parts.minimize not in minimizable:
        what = "is better the more there is of it" if parts.minimize in metrics else "is not measured"
        yield ("selection", "minimize"), f"'{parts.minimize}' {what}", nearest(parts.minimize, minimizable)
    with_interval = ", ".join(sorted(name for name, metric in metrics.items() if metric.has_interval))
    for name, requirement in parts.require.items():
        place = ("selection", "require", name)
        if name not in metrics:
            yield place, f"'{name}' is not measured", nearest(name, metrics)
        elif requirement.confidence and not metrics[name].has_interval:
            yield (*place, "confidence"), f"{name} has no interval", f"Only these have: {with_interval}."


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _readable(section: type[Section], raw: dict[Any, Any]) -> dict[str, Section]:
    read = {str(name): _try(section, value) for name, value in raw.items()}
    return {name: value for name, value in read.items() if value is not None}


def _try(section: type[Section], raw: Any) -> Section | None:
    try:
        return section.model_validate(raw)
    except ValidationError:
        return None
