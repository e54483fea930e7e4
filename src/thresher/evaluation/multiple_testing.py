"""A requirement with a confidence, for all candidates at once: the more are tried, the more may pass by luck."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from thresher.evaluation.metrics import format_value
from thresher.evaluation.selection import Requirement
from thresher.evaluation.statistics import TOO_FEW_SAMPLES, Interval

At = Callable[[float], Interval]
"""Maps a confidence to the interval at that confidence."""


@dataclass(frozen=True)
class BoundCheck:
    """Whether one candidate keeps a requirement, and by what.

    Attributes:
        got: the interval at the requirement's own confidence.
        corrected: the interval that decided, where the correction for many candidates makes the difference; else None.
    """

    holds: bool
    got: Interval
    corrected: Interval | None = None


def keeps(interval: Interval, requirement: Requirement) -> bool:
    """Return whether ``interval`` keeps the bound: by its end where a confidence is asked for, else by its value."""
    if requirement.confidence and interval.proves_nothing:
        return False
    upper, lower = (interval.upper, interval.lower) if requirement.confidence else (interval.value, interval.value)
    if requirement.at_most is not None:
        return upper <= requirement.at_most
    assert requirement.at_least is not None
    return lower >= requirement.at_least


def describe_broken(metric: str, interval: Interval, requirement: Requirement, at: str = "") -> str:
    """Return how ``interval`` breaks ``requirement``.

    Args:
        at: said of the interval's end, where that is not the one at the requirement's own confidence.
    """
    allowed, bound, side, sign = requirement.at_most, interval.upper, "upper", ">"
    if allowed is None:
        allowed, bound, side, sign = requirement.at_least, interval.lower, "lower", "<"
    assert allowed is not None
    value = format_value(metric, interval.value)
    if requirement.confidence and interval.too_few:
        return f"{metric} {value} on fewer than {TOO_FEW_SAMPLES} test samples, which prove nothing"
    if requirement.confidence and interval.unproven:
        return f"{metric} {value} {interval.unproven}, which proves nothing"
    shown = f", {side} bound {format_value(metric, bound)}{at}" if requirement.confidence else ""
    return f"{metric} {value}{shown} {sign} {format_value(metric, allowed)}"


def check_one(interval: Interval, requirement: Requirement) -> BoundCheck:
    """Return whether one candidate, of which ``interval`` is, keeps ``requirement``."""
    return BoundCheck(keeps(interval, requirement), interval)


def check_each(intervals: Mapping[str, At], requirement: Requirement) -> dict[str, BoundCheck]:
    """Return for each candidate whether it keeps ``requirement``, as if it were the only one."""
    assert requirement.confidence is not None
    return {name: check_one(at(requirement.confidence), requirement) for name, at in intervals.items()}


def check_by_holm(intervals: Mapping[str, At], requirement: Requirement) -> dict[str, BoundCheck]:
    """Return for each candidate whether it keeps ``requirement``, so that *all* who do truly do, at its confidence.

    Without a correction, of 14 candidates that all lose just too much one passes more often than not at 95 %. Whoever
    passes with the error shared out among all is in; the others share it anew, until nobody else passes.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979,
    by bounds in place of p-values.
    """
    assert requirement.confidence is not None
    held = check_each(intervals, requirement)
    waiting = dict(intervals)
    while waiting:
        level = 1 - (1 - requirement.confidence) / len(waiting)
        at_level = {name: at(level) for name, at in waiting.items()}
        passing = [name for name, interval in at_level.items() if keeps(interval, requirement)]
        if not passing:
            lucky = {name: interval for name, interval in at_level.items() if held[name].holds}
            return held | {name: BoundCheck(False, held[name].got, interval) for name, interval in lucky.items()}
        for name in passing:
            del waiting[name]
    return held
