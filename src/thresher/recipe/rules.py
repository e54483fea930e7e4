"""Rules that cross the sections of a recipe. They work on what could be read of a broken one, too."""

from __future__ import annotations

from collections.abc import Iterable

from thresher.compression.validate import find_chain_problems, find_circle
from thresher.errors import nearest
from thresher.evaluation.energy import find_meter
from thresher.evaluation.metrics import LOSS, available_metrics, find_metric
from thresher.kinds.record import KindError
from thresher.models import FLOAT
from thresher.recipe.partial import Found, PartialRecipe
from thresher.recipe.training_rules import find_training_problems


def find_problems(parts: PartialRecipe) -> Iterable[Found]:
    """Yield every broken rule."""
    yield from _candidate_problems(parts)
    yield from find_training_problems(parts)
    if parts.batch_sizes is not None:
        yield from _selection_problems(parts, parts.batch_sizes)


def _candidate_problems(parts: PartialRecipe) -> Iterable[Found]:
    for name, candidate in parts.candidates.items():
        others = {FLOAT, *parts.names} - {name}
        place = ("candidates", name, "from")
        if name == FLOAT:
            yield ("candidates", name), "this name is taken by the unpruned model", "Rename it."
        elif circle := find_circle(name, parts.candidates):
            yield place, f"forms a cycle: {' -> '.join(circle)}", "Start one of them from float."
        elif candidate.from_ not in others:
            yield place, f"there is no candidate '{candidate.from_}'", nearest(candidate.from_, others)
        yield from _teacher_problems(name, parts)
    for below, what, advice in find_chain_problems(parts.candidates):
        yield ("candidates", *below), what, advice


def _teacher_problems(name: str, parts: PartialRecipe) -> Iterable[Found]:
    able = {FLOAT, *(other for other, candidate in parts.candidates.items() if candidate.changes_network)} - {name}
    for teacher in parts.candidates[name].teachers:
        if teacher not in able:
            known = teacher in parts.names - {name}
            what = f"'{teacher}' has no network of its own" if known else f"there is no candidate '{teacher}'"
            yield ("candidates", name), f"distill from: {what}", nearest(teacher, able)


def _selection_problems(parts: PartialRecipe, batch_sizes: tuple[int, ...]) -> Iterable[Found]:
    task = parts.task if parts.task in LOSS else "classification"
    metrics = available_metrics(batch_sizes, task, parts.computed)
    for name in parts.computed:
        if name not in metrics:
            yield ("evaluation", "metrics"), f"'{name}' {_not_measured(name, task)}", "Leave it out."
    if not find_meter().zones:
        metrics = {name: metric for name, metric in metrics.items() if metric.measures != "energy"}
    minimizable = {name for name, metric in metrics.items() if metric.smaller_is_better}
    if parts.minimize not in minimizable:
        what = "is better the more there is of it" if parts.minimize in metrics else _not_measured(parts.minimize, task)
        yield ("selection", "minimize"), f"'{parts.minimize}' {what}", nearest(parts.minimize, minimizable)
    with_interval = ", ".join(sorted(name for name, metric in metrics.items() if metric.allows_confidence))
    for name, requirement in parts.require.items():
        place = ("selection", "require", name)
        if name not in metrics:
            yield place, f"'{name}' {_not_measured(name, task)}", nearest(name, metrics)
        elif requirement.confidence and not metrics[name].allows_confidence:
            yield (*place, "confidence"), f"{name} has no interval", f"Only these have: {with_interval}."
    yield from _slice_problems(parts, task)


def _slice_problems(parts: PartialRecipe, task: str) -> Iterable[Found]:
    if parts.slices is not None and parts.slices.loss != LOSS[task]:
        place = ("selection", "slices", parts.slices.loss)
        yield place, f"'{parts.slices.loss}' {_not_measured(parts.slices.loss, task)}", f"Use {LOSS[task]}."


def _not_measured(metric: str, task: str) -> str:
    try:
        kind = find_metric(metric)
    except KindError:
        return "is not measured"
    if kind.measures == "energy":
        return "is not measured: this machine has no counter of energy that can be read"
    if kind.task not in (None, task):
        return f"is not measured in a {task}"
    return "is not measured unless evaluation.metrics names it" if kind.is_computed else "is not measured"
