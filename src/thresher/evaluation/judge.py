"""Reaches the verdict: who wins, and for every loser the reason in one sentence."""

from __future__ import annotations

from thresher.candidate_failure import CandidateFailure
from thresher.evaluation.baseline import Baseline
from thresher.evaluation.bounds import Held, check_bounds, describe_check
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.metrics import (
    LOSS,
    find_metric,
    format_value,
    measure_metrics,
    speed_words,
    speedup_beside,
)
from thresher.evaluation.selection import Selection
from thresher.evaluation.set_comparison import SetComparison
from thresher.evaluation.slices import SliceComparison
from thresher.evaluation.statistics import Interval
from thresher.evaluation.verdict import Judged, Verdict
from thresher.models import FLOAT


def judge(
    recipe: str,
    results: dict[str, Evaluation | CandidateFailure],
    selection: Selection,
    slices: SliceComparison | None = None,
    baseline: Baseline | None = None,
    sets: SetComparison | None = None,
) -> Verdict:
    """Return the verdict over ``results``, which name the float model and every candidate.

    One that failed has its reason. Another candidate qualifies if it meets every requirement, those with a confidence
    together with all others, and the bound of every slice; the least of ``selection.minimize``, or the most of
    ``maximize``, wins. Where that is a latency, a candidate must also be faster than float beyond the noise of the
    paired rounds, else it does not count.

    Who is not better than the ``baseline`` does not qualify; where float is not, nobody does.

    Args:
        slices: where ``selection`` asks for them.
        baseline: how all compare with constant answers.
        sets: how all do on further test sets, where the recipe has some.
    """
    evaluations = {name: result for name, result in results.items() if isinstance(result, Evaluation)}
    reference = evaluations[FLOAT]
    metrics = {
        name: measure_metrics(evaluation, reference, selection.confidence) for name, evaluation in evaluations.items()
    }
    held = check_bounds(evaluations, metrics, selection.require, selection.correction)
    elsewhere = sets.broken(selection) if sets is not None else {}
    nothing_learned = {name: baseline.fails(name) if baseline else "" for name in metrics}
    failures = {
        name: _unlearned(name, nothing_learned, selection)
        + _failures(name, evaluations, metrics, held, selection, slices)
        + elsewhere.get(name, [])
        for name in metrics
    }
    qualified = [name for name in metrics if not failures[name]]
    objective, sign = selection.objective, -1 if selection.maximize else 1
    moments = [evaluation.measured_at for evaluation in evaluations.values()]
    winner = min(qualified, key=lambda name: sign * metrics[name][objective].value, default=None)

    def judged(name: str, result: Evaluation | CandidateFailure) -> Judged:
        if isinstance(result, CandidateFailure):
            return Judged(candidate=name, metrics={}, qualifies=False, reason=result.reason)
        reason = "; ".join(failures[name]) or _standing(name, winner, metrics, selection)
        if not failures[name] and nothing_learned[name]:
            reason += f"; {nothing_learned[name]}"
        reason += _larger(metrics[name], metrics[FLOAT]) if "larger than" not in reason else ""
        qualifies = not failures[name]
        return Judged(candidate=name, metrics=metrics[name], qualifies=qualifies, wins=name == winner, reason=reason)

    return Verdict(
        recipe=recipe,
        task=reference.quality.kind,
        minimize=objective,
        maximizes=selection.maximize is not None,
        candidates=tuple(judged(name, result) for name, result in results.items()),
        winner=winner,
        machine=reference.machine,
        measured=(min(moments), max(moments)),
        num_test_samples=reference.quality.num_samples,
        baseline=baseline,
    )


def _why_unmeasured(metric: str, *evaluations: Evaluation) -> str:
    """Return why there is no ``metric`` of the first of ``evaluations``, which the second is the measure of."""
    timed = metric.startswith(("latency_ms", "speedup", "throughput"))
    reasons = [evaluation.latency_of(metric).unmeasured for evaluation in evaluations] if timed else []
    return next((reason for reason in reasons if reason), "was not measured")


def _unlearned(name: str, nothing_learned: dict[str, str], selection: Selection) -> list[str]:
    if selection.allow_no_better_than_baseline:
        return []
    if nothing_learned[FLOAT] and not nothing_learned[name]:
        return ["float is no better than the baseline"]
    return [nothing_learned[name]] if nothing_learned[name] else []


def _failures(
    name: str,
    evaluations: dict[str, Evaluation],
    metrics: dict[str, dict[str, Interval]],
    held: Held,
    selection: Selection,
    slices: SliceComparison | None,
) -> list[str]:
    minimize = selection.objective
    if missing := [metric for metric in (minimize, *selection.require) if metric not in metrics[name]]:
        pair = evaluations[name], evaluations[FLOAT]
        return [f"{metric} {_why_unmeasured(metric, *pair)}" for metric in dict.fromkeys(missing)]
    num_tried = len(metrics) - 1
    broken = [
        describe_check(metric, held[metric][name], bound, num_tried) for metric, bound in selection.require.items()
    ]
    if slices is not None and selection.slices is not None:
        broken.append(slices.broken(name, selection.slices.bounds))
    if name != FLOAT and minimize.startswith("latency_ms"):
        broken.append(_not_faster(metrics[name], metrics[FLOAT], minimize))
    return [reason for reason in broken if reason]


def _not_faster(got: dict[str, Interval], reference: dict[str, Interval], metric: str) -> str:
    speedup = got[speedup_beside(metric)]
    if speedup.lower > 1:
        return ""
    word = "slower than" if speedup.upper < 1 else "not measurably faster than"
    ours, theirs = (format_value(metric, figures[metric].value) for figures in (got, reference))
    return f"{word} float: {ours} against {theirs}"


def _larger(got: dict[str, Interval], reference: dict[str, Interval]) -> str:
    """Return that a candidate's file is larger than float's, which not everybody expects of a compression."""
    ours, theirs = got["size_bytes"].value, reference["size_bytes"].value
    if ours <= theirs:
        return ""
    return f"; larger than float: {format_value('size_bytes', ours)} against {format_value('size_bytes', theirs)}"


def _standing(name: str, winner: str | None, metrics: dict[str, dict[str, Interval]], selection: Selection) -> str:
    """Return the sentence for a candidate that qualifies."""
    got, minimize = metrics[name], selection.objective
    if name == winner:
        return f"{'most' if selection.maximize else 'least'} {minimize}" + (
            f": {_beside_float(got, metrics[FLOAT], minimize)}" if name != FLOAT else ""
        )
    assert winner is not None
    word = find_metric(minimize).worse_word
    if got[minimize].value == metrics[winner][minimize].value:
        word = "no better than"
    if minimize.startswith("latency_ms") and not _surely_slower(got, metrics[winner], minimize):
        word = "no faster than"
    ours, theirs = format_value(minimize, got[minimize].value), format_value(minimize, metrics[winner][minimize].value)
    return f"{word} {winner}: {ours} against {theirs}"


def _beside_float(got: dict[str, Interval], reference: dict[str, Interval], minimize: str) -> str:
    """Return what the winner has of ``minimize``, where neither its speed nor its size says so; then these two."""
    speed = speed_words(got.get(speedup_beside(minimize)), FLOAT)
    size = f"{reference['size_bytes'].value / got['size_bytes'].value:.1f}x as small"
    if minimize == "size_bytes" or minimize.startswith("latency_ms"):
        return f"{speed}, {size}"
    ours, theirs = (format_value(minimize, figures[minimize].value) for figures in (got, reference))
    beside = "" if minimize in LOSS.values() else f" against {theirs} of float"  # which loses nothing to itself
    return f"{ours}{beside}; {speed}, {size}"


def _surely_slower(got: dict[str, Interval], winner: dict[str, Interval], metric: str) -> bool:
    """Return whether the two were so far apart beside float that the noise of the rounds does not explain it."""
    speedup = speedup_beside(metric)
    return got[speedup].upper < winner[speedup].lower
