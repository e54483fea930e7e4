"""What a test split of a size can show at all: said before anything is trained for a bound that nobody can keep."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist

from thresher.evaluation.selection import ALLOW, Requirement, Selection
from thresher.evaluation.statistics import TOO_FEW_SAMPLES, PairedCounts, accuracy_drop


def find_unprovable(selection: Selection, task: str, num_test: int, num_candidates: int) -> list[str]:
    """Return what ``num_test`` test samples cannot show of what ``selection`` requires, a sentence each.

    Args:
        num_candidates: besides float.
    """
    if task == "regression":
        return list(_of_values(selection, num_test))
    return list(_of_classes(selection, num_test, num_candidates))


def least_samples(selection: Selection, num_candidates: int) -> int:
    """Return how many test samples the bound on the drop in accuracy takes at least, without one lost answer.

    0 where there is none with a confidence, or no number of samples shows it.
    """
    bound = selection.require.get("accuracy_drop")
    if bound is None or not num_candidates:
        return 0
    return _needed(bound, num_candidates if selection.correction == "holm" else 1) or 0


def _of_values(selection: Selection, num_test: int) -> Iterator[str]:
    if num_test >= TOO_FEW_SAMPLES:
        return
    few = f"{num_test:,} test samples prove nothing of an RMSE; it takes {TOO_FEW_SAMPLES} or more"
    if not selection.allow_no_better_than_baseline:
        yield f"{few}: the run will fail, since no model can be shown to be better than the mean. Or {ALLOW}."
    bound = selection.require.get("rmse_increase")
    if bound is not None and bound.confidence:
        yield f"selection.require.rmse_increase: {few}. Float alone can keep a bound with a confidence."


def _of_classes(selection: Selection, num_test: int, num_candidates: int) -> Iterator[str]:
    if not num_candidates:
        return
    bound, slices = selection.require.get("accuracy_drop"), selection.slices
    if bound is not None:
        tried = num_candidates if selection.correction == "holm" else 1
        needed = _needed(bound, tried)
        if needed is None or num_test < needed:
            yield f"selection.require.accuracy_drop: {_describe_bound(bound, num_test, tried, needed)}"
    if slices is not None and (bound := slices.accuracy_drop) is not None:
        needed = _needed(bound, 1)
        if needed is None or slices.min_samples < needed:
            few, fix = (
                ("no part", "a bound above 0")
                if needed is None
                else (f"a part of fewer than {needed:,} test samples", f"min_samples: {needed}, or a looser bound")
            )
            yield (
                f"selection.slices.accuracy_drop: {few} can {'' if needed is None else 'not '}show at most "
                f"{bound.at_most:g} without one lost answer; min_samples is {slices.min_samples:,}. Fix: {fix}."
            )


def _describe_bound(bound: Requirement, num_test: int, tried: int, needed: int | None) -> str:
    assert bound.confidence is not None and bound.at_most is not None
    level = 1 - (1 - bound.confidence) / tried
    least = accuracy_drop(PairedCounts(num_samples=num_test, lost=0, gained=0), level).upper
    together = f" (for {tried} candidates together, each at {level:.4g})" if tried > 1 else ""
    samples = "" if needed is None else f"at least {needed:,} test samples, or "
    return (
        f"{num_test:,} test samples show no less than {least:.4f} without one lost answer{together}, and "
        f"{bound.at_most:g} is asked for. No candidate but float can keep it unless it gains answers. "
        f"Fix: {samples}at_most: {math.ceil(least * 10_000) / 10_000:g}."
    )


def _needed(bound: Requirement, tried: int) -> int | None:
    """Return how many test samples show ``bound`` without one lost answer; None where no number does.

    Tango's interval, which is the wider one there, has a closed form.
    """
    if not bound.confidence or bound.at_most is None:
        return 0
    if bound.at_most <= 0:
        return None
    square = NormalDist().inv_cdf(1 - (1 - bound.confidence) / tried) ** 2
    return math.ceil(square * (1 / bound.at_most - 1) - 1e-9)
