"""Winner against champion: what serves today is not replaced by something worse."""

from __future__ import annotations

import numpy as np

from thresher.config import Config
from thresher.evaluation.cost import Cost
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.metrics import LOSS, computed_metric, find_metric, format_value
from thresher.evaluation.multiple_testing import keeps
from thresher.evaluation.quality import Quality
from thresher.evaluation.selection import Requirement, Selection
from thresher.evaluation.statistics import Interval, median_interval

TOLERANCE = 1.05
"""How much more of the minimized metric still counts as equal, so that noise does not freeze the champion."""


class Challenge(Config):
    """Whether the winner takes the champion's place, and why."""

    replaces: bool
    reason: str
    champion_version: str | None = None
    winner_content: str = ""
    """The hash of the winner's model and encoder: a person who then chooses a champion has chosen it over this one."""


def decide(evaluation: Evaluation, champion_cost: Cost, selection: Selection, champion_version: str) -> Challenge:
    """Return whether the winner replaces the champion; equals do, so that a new run of a recipe is served.

    Args:
        evaluation: of the winner, with the champion as the reference: both on today's test samples, in turns.
        champion_cost: of the champion's ONNX file.
    """
    ours, champion = evaluation.counted_costs
    champion |= champion_cost.model_dump()
    if broken := _broken_by_champion(champion, selection):
        return Challenge(replaces=True, reason=broken, champion_version=champion_version)
    worse = _worse(evaluation, selection) or _costlier(evaluation, ours, champion, selection)
    reason = worse or "no worse than the champion on the same test data"
    return Challenge(replaces=not worse, reason=reason, champion_version=champion_version)


def _broken_by_champion(costs: dict[str, float], selection: Selection) -> str:
    """Return which of the recipe's bounds the champion itself breaks: then it cannot defend its place."""
    for metric, value in costs.items():
        requirement = selection.require.get(metric)
        if requirement and requirement.at_most is not None and value > requirement.at_most:
            got, bound = format_value(metric, value), format_value(metric, requirement.at_most)
            return f"the champion breaks the recipe's bound: {metric} {got} > {bound}"
    return ""


def _worse(evaluation: Evaluation, selection: Selection) -> str:
    """Return in what the winner is worse, by the measures of quality that the recipe holds candidates to.

    Where it holds them to others, accuracy alone may well be what a threshold was chosen against.
    """
    by_others = _worse_by_own(evaluation, selection)
    loss = LOSS[evaluation.quality.kind]
    about = {loss, *_OF_LOSS[loss]}
    others = [name for name in selection.require if name not in about and computed_metric(name)]
    if by_others or (others and not about & selection.require.keys()):
        return by_others
    return _less_accurate(evaluation.quality, selection)


_OF_LOSS = {"accuracy_drop": ("accuracy",), "rmse_increase": ("rmse", "r2")}


def _worse_by_own(evaluation: Evaluation, selection: Selection) -> str:
    """Return in which of the required metrics the winner is surely worse, or loses more than it may."""
    for name, bound in selection.require.items():
        metric = computed_metric(name)
        own = evaluation.own.get(metric)
        loss = own.loss_interval(bound.confidence or selection.confidence) if own else None
        if own is None or loss is None or loss.proves_nothing:
            continue
        if _is_too_much(loss, bound if name != metric else None):
            ours, champion = (format_value(metric, value) for value in (own.value, own.reference))
            return f"{find_metric(metric).worse_word} the champion: {metric} {ours} against {champion}"
    return ""


def _less_accurate(quality: Quality, selection: Selection) -> str:
    """Return in what the winner is less accurate, by the measure that the recipe holds candidates to."""
    metric = LOSS[quality.kind]
    loss = quality.loss(selection.confidence)
    if not _is_too_much(loss, selection.require.get(metric)):
        return ""
    bound = format_value(metric, loss.upper)
    return f"less accurate than the champion: {_pair(quality)}, the {metric.split('_')[1]}'s upper bound {bound}"


def _is_too_much(loss: Interval, requirement: Requirement | None) -> bool:
    if requirement is None or requirement.at_most is None or loss.too_few:
        return loss.lower > 0
    return not keeps(loss, requirement)


def _pair(quality: Quality) -> str:
    if quality.kind == "classification":
        return f"{quality.accuracy:.4f} against {quality.reference_accuracy:.4f}"
    ours, theirs = (format_value("rmse", value) for value in (quality.rmse, quality.reference_rmse))
    return f"RMSE {ours} against {theirs}"


def _costlier(
    evaluation: Evaluation, costs: dict[str, float], champion_costs: dict[str, float], selection: Selection
) -> str:
    """Return in what the winner costs more of what the recipe minimizes."""
    metric = selection.objective
    if metric in costs:
        pair, costlier = (costs[metric], champion_costs[metric]), costs[metric] > TOLERANCE * champion_costs[metric]
    elif metric.startswith("latency_ms"):
        latency = evaluation.latency_of(metric)
        if latency.unmeasured:
            return f"not known to be as fast as the champion: {metric} {latency.unmeasured}"
        pair, costlier = (
            (latency.p50, latency.reference_p50),
            latency.ratio_interval(selection.confidence).lower > TOLERANCE,
        )
    elif metric == "load_ms":
        footprint = evaluation.footprint
        pair = footprint.load_ms, footprint.reference_load_ms
        costlier = median_interval(np.array(footprint.load_ratios), selection.confidence).lower > TOLERANCE
    elif (own := evaluation.own.get(metric)) and (loss := own.loss_interval(selection.confidence)):
        pair, costlier = (own.value, own.reference), loss.lower > 0 and not loss.proves_nothing
    else:
        return ""
    if not costlier:
        return ""
    ours, theirs = (format_value(metric, value) for value in pair)
    word = "slower than" if metric.startswith("latency_ms") else find_metric(metric).worse_word
    return f"{word} the champion: {ours} against {theirs}"
