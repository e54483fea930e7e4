"""The verdict: who wins, and for every loser the reason in one sentence."""

from __future__ import annotations

from typing import Literal

from thresher.config import Config
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.metrics import LOSS, find_metric, format_value, measure_metrics, speed_words, speedup_beside
from thresher.evaluation.selection import Requirement, Selection
from thresher.evaluation.statistics import Interval
from thresher.failed import Failed
from thresher.models import FLOAT


class Judged(Config):
    """One candidate's figures and what they came to."""

    candidate: str
    metrics: dict[str, Interval]
    """Empty where the candidate could not be made."""
    qualifies: bool
    wins: bool = False
    reason: str


class Verdict(Config):
    """All candidates in the order of the recipe; ``winner`` is None where nobody qualifies."""

    recipe: str
    task: Literal["classification", "regression"]
    minimize: str
    candidates: tuple[Judged, ...]
    winner: str | None
    machine: dict[str, str]
    measured: tuple[str, str]
    """When the first and the last of the evaluations were made, ISO 8601, UTC: some may be an earlier run's."""
    num_test_samples: int

    @property
    def days(self) -> str:
        """The day of the measurements, or the first and the last."""
        first, last = (moment[:10] for moment in self.measured)
        return first if first == last else f"{first} to {last}"

    @property
    def confidence(self) -> float:
        """Of the intervals."""
        return self.candidates[0].metrics[LOSS[self.task]].confidence

    def of(self, candidate: str) -> Judged:
        """Return what was judged of ``candidate``."""
        return next(judged for judged in self.candidates if judged.candidate == candidate)


def judge(recipe: str, results: dict[str, Evaluation | Failed], selection: Selection) -> Verdict:
    """Return the verdict over ``results``, which name the float model and every candidate.

    One that failed has its reason. Another candidate qualifies if it meets every requirement; the least of
    ``selection.minimize`` wins. Where that is a latency, a candidate must also be faster than float beyond the noise
    of the paired rounds, else it does not count.
    """
    evaluations = {name: result for name, result in results.items() if isinstance(result, Evaluation)}
    baseline = evaluations[FLOAT]
    metrics = {
        name: measure_metrics(evaluation, baseline, selection.confidence) for name, evaluation in evaluations.items()
    }
    failures = {name: _failures(name, evaluations, metrics, selection) for name in metrics}
    qualified = [name for name in metrics if not failures[name]]
    minimize = selection.minimize
    moments = [evaluation.measured_at for evaluation in evaluations.values()]
    winner = min(qualified, key=lambda name: metrics[name][minimize].value, default=None)

    def judged(name: str, result: Evaluation | Failed) -> Judged:
        if isinstance(result, Failed):
            return Judged(candidate=name, metrics={}, qualifies=False, reason=result.reason)
        reason = "; ".join(failures[name]) or _standing(name, winner, metrics, minimize)
        qualifies = not failures[name]
        return Judged(candidate=name, metrics=metrics[name], qualifies=qualifies, wins=name == winner, reason=reason)

    return Verdict(
        recipe=recipe,
        task=baseline.quality.kind,
        minimize=minimize,
        candidates=tuple(judged(name, result) for name, result in results.items()),
        winner=winner,
        machine=baseline.machine,
        measured=(min(moments), max(moments)),
        num_test_samples=baseline.quality.num_samples,
    )


def _failures(
    name: str, evaluations: dict[str, Evaluation], metrics: dict[str, dict[str, Interval]], selection: Selection
) -> list[str]:
    broken = []
    minimize = selection.minimize
    if missing := [metric for metric in (minimize, *selection.require) if metric not in metrics[name]]:
        return [f"{metric} was not measured" for metric in dict.fromkeys(missing)]
    for metric, bound in selection.require.items():
        at_confidence = metrics[name]
        if bound.confidence not in (None, selection.confidence):
            at_confidence = measure_metrics(evaluations[name], evaluations[FLOAT], bound.confidence)
        broken.append(_broken(metric, at_confidence[metric], bound))
    if name != FLOAT and minimize.startswith("latency_ms"):
        broken.append(_not_faster(metrics[name], metrics[FLOAT], minimize))
    return [reason for reason in broken if reason]


def _broken(metric: str, got: Interval, requirement: Requirement) -> str:
    """Return why ``requirement`` does not hold, or nothing; with a confidence it is the interval's bound that must."""
    if requirement.at_most is not None:
        allowed, bound, side, sign = requirement.at_most, got.upper, "upper", ">"
    else:
        assert requirement.at_least is not None
        allowed, bound, side, sign = requirement.at_least, got.lower, "lower", "<"
    judged = bound if requirement.confidence else got.value
    holds = judged <= allowed if sign == ">" else judged >= allowed
    if holds:
        return ""
    shown = f", {side} bound {format_value(metric, bound)}" if requirement.confidence else ""
    return f"{metric} {format_value(metric, got.value)}{shown} {sign} {format_value(metric, allowed)}"


def _not_faster(got: dict[str, Interval], reference: dict[str, Interval], metric: str) -> str:
    speedup = got[speedup_beside(metric)]
    if speedup.lower > 1:
        return ""
    word = "slower than" if speedup.upper < 1 else "not measurably faster than"
    ours, theirs = (format_value(metric, figures[metric].value) for figures in (got, reference))
    return f"{word} float: {ours} against {theirs}"


def _standing(name: str, winner: str | None, metrics: dict[str, dict[str, Interval]], minimize: str) -> str:
    """Return the sentence for a candidate that qualifies."""
    got = metrics[name]
    if name == winner:
        speed = f"{speed_words(got[speedup_beside(minimize)], FLOAT)}, " if name != FLOAT else ""
        size = f"{metrics[FLOAT]['size_bytes'].value / got['size_bytes'].value:.1f}x as small" if name != FLOAT else ""
        return f"least {minimize}" + (f": {speed}{size}" if name != FLOAT else "")
    assert winner is not None
    word = find_metric(minimize).worse_word
    if minimize.startswith("latency_ms") and not _surely_slower(got, metrics[winner], minimize):
        word = "no faster than"
    ours, theirs = format_value(minimize, got[minimize].value), format_value(minimize, metrics[winner][minimize].value)
    return f"{word} {winner}: {ours} against {theirs}"


def _surely_slower(got: dict[str, Interval], winner: dict[str, Interval], metric: str) -> bool:
    """Return whether the two were so far apart beside float that the noise of the rounds does not explain it."""
    speedup = speedup_beside(metric)
    return got[speedup].upper < winner[speedup].lower
