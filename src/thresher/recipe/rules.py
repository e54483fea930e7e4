"""Rules that cross the sections of a recipe. They work on what could be read of a broken one, too."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

from thresher.compression.validate import find_chain_problems, find_circle
from thresher.errors import nearest
from thresher.evaluation.energy import find_meter
from thresher.evaluation.metrics import LOSS, available_metrics, computed_metric, find_metric
from thresher.evaluation.selection import Requirement
from thresher.kinds.metric_names import metric_patterns
from thresher.kinds.record import KindError, MetricKind
from thresher.kinds.registry import registry
from thresher.models import FLOAT
from thresher.recipe.partial import Found, PartialRecipe
from thresher.recipe.source import Place
from thresher.recipe.test_set_rules import find_test_set_problems
from thresher.recipe.training_rules import find_training_problems


def find_problems(parts: PartialRecipe) -> Iterable[Found]:
    """Yield every broken rule."""
    yield from _candidate_problems(parts)
    yield from find_training_problems(parts)
    if parts.calibrate is not None and parts.task == "regression":
        yield ("calibrate",), "a regression answers no probabilities", "Leave it out, or task: classification."
    if parts.decision is not None and parts.task == "regression":
        yield ("decision",), "a regression has no classes to decide between", "Leave it out, or task: classification."
    yield from find_test_set_problems(parts)
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
    slices = parts.slices.require if parts.slices else {}
    objective = parts.maximize or parts.minimize
    elsewhere = (name for bounds in parts.require_on.values() for name in bounds)
    asked = (computed_metric(name) for name in (*parts.require, *slices, *elsewhere, objective))
    metrics = available_metrics(batch_sizes, task, (*parts.computed, *(name for name in asked if name)))
    for name in parts.computed:
        if name not in metrics:
            yield ("evaluation", "metrics"), f"'{name}' {_not_measured(name, task)}", "Leave it out."
    if not find_meter().zones:
        metrics = {name: metric for name, metric in metrics.items() if metric.measures != "energy"}
    yield from _objective_problems(parts, metrics, task)
    yield from _bound_problems(("selection", "require"), parts.require, metrics, task)
    yield from _slice_problems(parts, metrics, task)
    of_quality = {name: metric for name, metric in metrics.items() if metric.measures == "quality"}
    for on, bounds in parts.require_on.items():
        yield from _bound_problems(("selection", "require_on", on), bounds, of_quality, task)


def _objective_problems(parts: PartialRecipe, metrics: dict[str, MetricKind], task: str) -> Iterable[Found]:
    key, name = ("maximize", parts.maximize) if parts.maximize else ("minimize", parts.minimize)
    allowed = {each for each, metric in metrics.items() if metric.smaller_is_better is (key == "minimize")}
    if name not in allowed:
        way = "more" if key == "minimize" else "less"
        what = f"is better the {way} there is of it" if name in metrics else _not_measured(name, task)
        other = "maximize" if key == "minimize" else "minimize"
        fix = f"Write {other}: {name}. " if name in metrics and metrics[name].measures == "quality" else ""
        yield (
            ("selection", key),
            f"'{name}' {what}",
            fix + (nearest(name, allowed) if name in metrics else _nearest_metric(name, allowed, task)),
        )


def _bound_problems(
    place: Place, bounds: dict[str, Requirement], metrics: dict[str, MetricKind], task: str
) -> Iterable[Found]:
    with_interval = ", ".join(sorted(name for name, metric in metrics.items() if metric.allows_confidence))
    for name, requirement in bounds.items():
        if name not in metrics:
            yield (*place, name), f"'{name}' {_not_measured(name, task)}", _nearest_metric(name, metrics, task)
        elif requirement.confidence and not metrics[name].allows_confidence:
            yield (*place, name, "confidence"), f"{name} has no interval", f"Only these have: {with_interval}."
        elif problem := _beyond(requirement, metrics[name]):
            yield (*place, name), *problem


def _beyond(requirement: Requirement, metric: MetricKind) -> tuple[str, str] | None:
    """Return what is wrong with a bound that every model keeps, or none can."""
    key = "at_most" if requirement.at_least is None else "at_least"
    bound, (least, most) = float(getattr(requirement, key)), metric.span
    if least <= bound <= most:
        return None
    never = bound > most if key == "at_least" else bound < least
    allowed = f"from {least:g} to {most:g}" if isfinite(least) and isfinite(most) else ""
    allowed = allowed or (f"at least {least:g}" if isfinite(least) else f"at most {most:g}")
    return f"{key}: {bound:g}, which {'no model can' if never else 'every model does'} keep", f"It is {allowed}."


def _slice_problems(parts: PartialRecipe, metrics: dict[str, MetricKind], task: str) -> Iterable[Found]:
    if parts.slices is None:
        return
    place = ("selection", "slices")
    for loss in LOSS.values():
        if getattr(parts.slices, loss) is not None and loss != LOSS[task]:
            yield (*place, loss), f"'{loss}' {_not_measured(loss, task)}", f"Use {LOSS[task]}."
    whole = {name: metric for name, metric in metrics.items() if not computed_metric(name)}
    for name in parts.slices.require:
        if name in whole:
            what = f"'{name}' is not measured on parts of the test split"
            fix = f"Write {name} beside `by`." if name in LOSS.values() else "Require it of the whole split."
            yield (*place, "require", name), what, fix
    others = {name: bound for name, bound in parts.slices.require.items() if name not in whole}
    yield from _bound_problems((*place, "require"), others, metrics, task)


def _nearest_metric(name: str, metrics: Iterable[str], task: str) -> str:
    """Return what may be meant: of a metric with wrong brackets, its own sentence says how to write it."""
    try:
        find_metric(name)
    except KindError as error:
        base = name.partition("[")[0]
        if base in registry().names(MetricKind.group):
            return str(error).partition("Fix: ")[2]
    base, bracket, _ = name.partition("[")
    return nearest(base + "[CLASS]" * bool(bracket), {*metrics, *metric_patterns(task)})


def _not_measured(metric: str, task: str) -> str:
    try:
        kind = find_metric(metric)
    except KindError as error:
        if metric.partition("[")[0] in registry().names(MetricKind.group):
            return str(error).partition("' ")[2].partition(".")[0]
        return "is not measured"
    if kind.measures == "energy":
        return "is not measured: this machine has no counter of energy that can be read"
    return f"is not measured in a {task}" if kind.task not in (None, task) else "is not measured"
