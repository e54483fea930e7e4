"""Which candidates keep the recipe's bounds, on one set of samples."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal

from thresher.evaluation.answers import JudgedAnswers
from thresher.evaluation.metrics import measure_interval
from thresher.evaluation.multiple_testing import BoundCheck, check_by_holm, check_each, check_one, describe_broken
from thresher.evaluation.selection import Requirement
from thresher.evaluation.statistics import Interval
from thresher.models import FLOAT

Held = dict[str, dict[str, BoundCheck]]
"""Metric -> candidate -> whether it keeps the bound."""


def check_bounds(
    answers: Mapping[str, JudgedAnswers],
    metrics: Mapping[str, Mapping[str, Interval]],
    bounds: Mapping[str, Requirement],
    correction: Literal["holm", "none"],
) -> Held:
    """Return metric -> candidate -> whether it keeps the bound; who has no such figure is left out.

    Args:
        answers: of each candidate, float among them.
        metrics: candidate -> its figures.
    """
    held: Held = {}
    for metric, bound in bounds.items():
        measured = [name for name in answers if metric in metrics[name]]
        if not bound.confidence:
            held[metric] = {name: check_one(metrics[name][metric], bound) for name in measured}
            continue
        at = {name: partial(measure_interval, answers[name], metric) for name in measured}
        tried = {name: each for name, each in at.items() if name != FLOAT}
        hold = check_by_holm if correction == "holm" else check_each
        held[metric] = check_each({FLOAT: at[FLOAT]}, bound) | hold(tried, bound)
    return held


def describe_check(metric: str, held: BoundCheck, requirement: Requirement, num_tried: int) -> str:
    """Return why ``requirement`` does not hold, or nothing; with a confidence it is the interval's bound that must."""
    if held.holds:
        return ""
    if held.corrected is None:
        return describe_broken(metric, held.got, requirement)
    at = f" at {held.corrected.confidence:.4g} (Holm, {num_tried} candidates)"
    return describe_broken(metric, held.corrected, requirement, at)
