"""What a test split of a size can show of each bound with a confidence: said with the plan, before training."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from statistics import NormalDist

import numpy as np

from thresher.evaluation.metrics import LOSS, computed_metric, find_metric
from thresher.evaluation.own_metrics import Shares
from thresher.evaluation.selection import Requirement, Selection
from thresher.evaluation.statistics import TOO_FEW_SAMPLES, PairedCounts, accuracy_drop, expected_bound
from thresher.kinds.metric_names import arguments_of
from thresher.kinds.record import MetricKind

DIFFER = (0.01, 0.05)
"""Shares of answers other than float's that sizes are told for: how many there will be is unknown before training."""
POWER = 0.8
"""How often a candidate must pass for a number of samples to do."""
MOST_SAMPLES = 10**9


def find_detectable(
    selection: Selection,
    task: str,
    num_test: int,
    num_candidates: int,
    class_counts: Mapping[str, int] | None = None,
    corrupted: Collection[str] = (),
) -> list[str]:
    """Return what ``num_test`` samples can show of each bound of quality with a confidence, some lines of text each.

    Args:
        num_candidates: besides float; Holm's correction shares the error out among them.
        class_counts: name of a class -> its test samples; None where these are not counted yet.
        corrupted: test sets of the same samples, whose bounds are told, too.
    """
    tried = num_candidates if selection.correction == "holm" else 1
    found = [
        _describe(metric, bound, max(tried, 1), num_test, class_counts) for metric, bound in selection.require.items()
    ]
    alike: dict[str, list[str]] = {}
    for on in filter(corrupted.__contains__, selection.require_on):
        for asked in selection.require_on[on].items():
            alike.setdefault(_describe(*asked, max(tried, 1), num_test, class_counts), []).append(on)
    found += [text and f"on {', '.join(names)}, {text}" for text, names in alike.items()]
    if selection.slices is not None:
        loss, least = LOSS[task], selection.slices.min_samples
        bound = selection.slices.bounds.get(loss)
        text = _describe(loss, bound, 1, least) if bound is not None else ""
        found.append(text and f"the smallest part that is judged, {text}")
    return [sentence for sentence in found if sentence]


def bound_of_no_loss(num_samples: int, share: float, level: float) -> float:
    """Return what the verdict's upper bound is where ``share`` of the answers differ, as many gained as lost."""
    half = round(share * num_samples / 2)
    return accuracy_drop(PairedCounts(num_samples=num_samples, lost=half, gained=half), level).upper


def largest_loss_shown(num_samples: int, share: float, at_most: float, level: float) -> float | None:
    """Return the largest true drop in accuracy that keeps ``at_most`` in four runs of five; None if none does.

    What it falls short of ``at_most`` by is the paired minimum detectable effect, at a power of 80 %.

    Args:
        share: of the answers that differ from float's.
    """
    if not _passes(num_samples, share, 0.0, at_most, level):
        return None
    low, high = 0.0, min(share, at_most)
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if _passes(num_samples, share, middle, at_most, level) else (low, middle)
    return low


def samples_for(share: float, at_most: float, level: float) -> int | None:
    """Return with how many test samples a candidate that loses nothing keeps ``at_most`` in four runs of five.

    None where no number does. By the normal distribution of the measured drop, and the verdict's bound of it.

    Source: Liu, Hsueh, Hsieh and Chen, "Tests for equivalence or non-inferiority for paired binary data", Statistics in
    Medicine 21, 2002.
    """
    return _first(lambda num: _passes(num, share, 0.0, at_most, level)) if at_most > 0 else None


def least_share_shown(shares: Shares, at_least: float, level: float) -> float | None:
    """Return the least measured share of right answers whose lower bound is ``at_least``; None if none is.

    Args:
        shares: of which the counts alone are read: of each share of right answers, how many it is of.
    """
    counts = np.array(shares.counts)

    def right(num_wrong: int) -> Shares:
        wrong = np.minimum(counts, np.ceil(num_wrong * counts / counts.sum())).astype(int)
        return Shares(right=tuple((counts - wrong).tolist()), counts=shares.counts)

    broken = _first(lambda num: right(num - 1).interval(level).lower < at_least, int(counts.sum()) + 1)
    if broken is None:
        return 0.0
    return None if broken == 1 else right(broken - 2).interval(level).value


def _passes(num: int, share: float, loss: float, at_most: float, level: float) -> bool:
    """Return whether a candidate with a true ``loss`` keeps ``at_most`` as often as `POWER` says."""
    spread = math.sqrt(max(share - loss**2, 0.0) / num)
    measured = loss + NormalDist().inv_cdf(POWER) * spread
    return expected_bound(num, share, measured, level) <= at_most


def _first(holds: Callable[[int], bool], most: int = MOST_SAMPLES) -> int | None:
    """Return the least number from 1 to ``most`` that ``holds``, as all larger ones do; None if none does."""
    low, high = 0, 1
    while not holds(high):
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _describe(
    metric: str, bound: Requirement, tried: int, num_test: int, class_counts: Mapping[str, int] | None = None
) -> str:
    """Return the sentence of one bound; nothing where it has no confidence or is none of quality."""
    kind = find_metric(metric)
    if not bound.confidence or kind.measures != "quality":
        return ""
    level = 1 - (1 - bound.confidence) / tried
    together = f", {tried} candidates together, each at {level:.4g}" if tried > 1 else f", at {level:.4g}"
    shares = _known_shares(metric, num_test, class_counts)
    num = shares.counts[0] if shares and len(shares.counts) == 1 else num_test
    part = f" of class '{kind.argument}'" if num != num_test and kind.takes == "class" else ""
    at = f"at_most: {bound.at_most:g}" if bound.at_most is not None else f"at_least: {bound.at_least:g}"
    head = f"{metric} {at} on {num:,} test samples{part}{together}: "
    if metric == LOSS["classification"] or (shares and len(shares.counts) == 1 and kind.name.endswith("_drop")):
        return head + _of_pairs(num, bound.at_most, level) if bound.at_most is not None else ""
    if shares and kind.is_computed and bound.at_least is not None:
        return head + _of_shares(shares, bound.at_least, level)
    return head + _unknown(metric, num)


def _of_pairs(num: int, at_most: float, level: float) -> str:
    lines = ["the bound, where nothing is lost on balance, by how many answers differ from float's"]
    lines.append(f"none: {bound_of_no_loss(num, 0.0, level):.4f}")
    for share in DIFFER:
        bound, most = bound_of_no_loss(num, share, level), largest_loss_shown(num, share, at_most, level)
        told = f"{share:.0%}: {bound:.4f}"
        if most is not None:
            told += f"; four of five candidates that truly lose {most:.4f} pass"
        elif needed := samples_for(share, at_most, level):
            told += f"; too few: with {needed:,} samples, four of five such candidates pass"
        lines.append(told)
    return "\n  ".join(lines)


def _of_shares(shares: Shares, at_least: float, level: float) -> str:
    least = least_share_shown(shares, at_least, level)
    if least is not None:
        return f"a model keeps it that measures {least:.4f} or more"
    needed = _first(lambda num: Shares(right=(num,), counts=(num,)).interval(level).lower >= at_least)
    fix = f"; it takes {needed:,}" if needed and len(shares.counts) == 1 else ""
    return f"too few to show it, even if every answer is right{fix}"


def _unknown(metric: str, num: int) -> str:
    what = "how much the errors differ" if metric in LOSS.values() else "how much the answers vary"
    few = f"; fewer than {TOO_FEW_SAMPLES} prove nothing" if metric == "rmse_increase" and num < TOO_FEW_SAMPLES else ""
    return f"unknown before training, since it hangs on {what}; half as wide an interval takes four times as many{few}"


def _known_shares(metric: str, num_test: int, class_counts: Mapping[str, int] | None) -> Shares | None:
    """Return how many samples each share of right answers is of; None where that hangs on the answers."""
    name = computed_metric(metric)
    kind = find_metric(name) if name else None
    if kind is None or not kind.shares:
        return None
    names = tuple(class_counts or ())
    if kind.takes == "class" and kind.argument not in names:
        return None
    if class_counts is None:
        return Shares(right=(0,), counts=(num_test,)) if kind.takes == "count" or name == "accuracy" else None
    labels = np.repeat(np.arange(len(names)), list(class_counts.values()))
    known, other = (_groups(kind, answers, labels, names) for answers in (labels, (labels + 1) % len(names)))
    if not np.array_equal(known, other):
        return None
    counts = np.bincount(known[known >= 0])
    return Shares(right=tuple(0 for _ in counts), counts=tuple(counts.tolist()))


def _groups(kind: MetricKind, answers: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    outputs = answers if kind.judges == "classes" else np.eye(len(names))[answers]
    group: np.ndarray = kind.load("shares")(outputs, labels, *arguments_of(kind, names))[1]
    return group
