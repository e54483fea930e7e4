"""Metrics that are computed of answers and labels, with their intervals; Thresher's own are among them.

An interval is the paired bootstrap's over the test samples; an exact one where a metric is a share of right answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from thresher.config import Config
from thresher.errors import CompressionError
from thresher.evaluation.metrics import find_metric
from thresher.evaluation.quality import LIKELIEST, Rules
from thresher.evaluation.statistics import (
    DRAWS_AT_ONCE,
    Interval,
    PairedCounts,
    Resampled,
    accuracy_drop,
    balanced_accuracy,
    count_pairs,
    exactly,
    resampled,
)
from thresher.kinds.metric_names import arguments_of, require_defined
from thresher.kinds.record import MetricKind
from thresher.modalities.decision import DecisionRule, choose_classes

MAX_UNDEFINED = 0.05
"""Share of resamples without a value, such as those without a rare class, above which there is no interval."""
Function = Callable[..., float]
NO_ANSWER = "rests on no answer"


class Shares(Config):
    """Right answers of each share, and how many it is of; the value is the mean of the shares."""

    right: tuple[int, ...]
    counts: tuple[int, ...]

    def interval(self, confidence: float) -> Interval:
        """Return the exact interval of one share, and that of the mean of several."""
        if not min(self.counts):
            return exactly(0.0, confidence).model_copy(update={"unproven": NO_ANSWER})
        return balanced_accuracy(np.array(self.right), np.array(self.counts), confidence)


class OwnMetric(Config):
    """What one metric says of a candidate, beside the reference on the same test samples."""

    value: float
    reference: float
    resampled: Resampled | None = None
    """The value over resamples of the test split; None where the metric's record asks for none."""
    loss: Resampled | None = None
    """How much worse than the reference's the value is, over the same resamples."""
    shares: Shares | None = None
    """What the value is the mean of, where it is that."""
    paired: PairedCounts | None = None
    """How both models differ, where the value is one share of the same samples for both."""

    def interval(self, confidence: float) -> Interval:
        """Return the value with its bounds, which are the value where nothing was resampled."""
        if self.shares is not None:
            return self.shares.interval(confidence)
        return exactly(self.value, confidence) if self.resampled is None else self.resampled.interval(confidence)

    def loss_interval(self, confidence: float) -> Interval | None:
        """Return how much worse than the reference's it is, with its bounds; None where nothing was resampled."""
        if self.paired is not None:
            return accuracy_drop(self.paired, confidence)
        return None if self.loss is None else self.loss.interval(confidence)


def measure_own_metrics(
    names: Iterable[str],
    outputs: np.ndarray,
    reference_outputs: np.ndarray,
    labels: np.ndarray,
    class_names: tuple[str, ...] = (),
    rules: Rules = LIKELIEST,
) -> dict[str, OwnMetric]:
    """Return the metrics ``names``, each by its implementation.

    A resample takes the same samples for both models.

    Args:
        outputs: probabilities [N, K], or values [N, 1].
        reference_outputs: of the reference, for the same samples in the same order.
        labels: of shape [N], int64 classes for probabilities, float64 for values.
        class_names: of the classes, by which names in brackets are found.
        rules: by which both models have their classes.

    Raises:
        CompressionError: one is not a finite number.
        DataError: one has no value of these labels.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.
    """
    require_defined(map(find_metric, names), labels, class_names)
    return {
        name: measure_own_metric(find_metric(name), outputs, reference_outputs, labels, class_names, rules)
        for name in names
    }


def compute_metric(
    name: str,
    outputs: np.ndarray,
    labels: np.ndarray,
    class_names: tuple[str, ...] = (),
    rule: DecisionRule | None = None,
) -> float:
    """Return the metric ``name`` of one model's ``outputs``; raises as `measure_own_metrics` does."""
    kind = find_metric(name)
    require_defined((kind,), labels, class_names, "new data")
    function: Function = kind.load()
    return _value(name, function(_answers(kind, outputs, rule), labels, *arguments_of(kind, class_names)))


def measure_own_metric(
    kind: MetricKind,
    outputs: np.ndarray,
    reference_outputs: np.ndarray,
    labels: np.ndarray,
    class_names: tuple[str, ...] = (),
    rules: Rules = LIKELIEST,
) -> OwnMetric:
    """Return one metric, of ``kind``; see `measure_own_metrics`."""
    function: Function = kind.load()
    more = arguments_of(kind, class_names)
    ours, theirs = _answers(kind, outputs, rules[0]), _answers(kind, reference_outputs, rules[1])
    value, reference = (_value(kind.name, function(each, labels, *more)) for each in (ours, theirs))
    if not kind.resamples:
        return OwnMetric(value=value, reference=reference)
    pairs = _resample(kind, ours, theirs, labels, more)
    sign, n = (1 if kind.smaller_is_better else -1), len(labels)
    why = _why_unproven(pairs, kind.resamples)
    # Answers that are alike to the last bit are those of one function, as far as anybody can see.
    alike = np.array_equal(ours, theirs)
    shares, paired = _shares(kind, ours, theirs, labels, more) if kind.shares else (None, None)
    return OwnMetric(
        value=value,
        reference=reference,
        resampled=resampled(value, pairs[:, 0], n, why or _why_constant(pairs[:, 0])),
        loss=resampled(
            sign * (value - reference),
            sign * (pairs[:, 0] - pairs[:, 1]),
            n,
            "" if alike else why or _why_constant(pairs[:, 0] - pairs[:, 1]),
        ),
        shares=shares,
        paired=None if alike else paired,
    )


def _answers(kind: MetricKind, outputs: np.ndarray, rule: DecisionRule | None) -> np.ndarray:
    """Return what ``kind`` judges: the outputs, or the classes that they make."""
    return choose_classes(outputs, rule) if kind.judges == "classes" else outputs


def _value(name: str, value: object) -> float:
    if not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
        raise CompressionError(f"The metric {name} is {value!r}, where a finite number is expected.")
    return float(value)


def _shares(
    kind: MetricKind, ours: np.ndarray, theirs: np.ndarray, labels: np.ndarray, more: tuple[Any, ...]
) -> tuple[Shares, PairedCounts | None]:
    """Return the shares, and how both models differ where that is one share of the same samples."""
    split = kind.load("shares")
    (right, group), (reference_right, reference_group) = (split(each, labels, *more) for each in (ours, theirs))
    num = max(int(group.max()) + 1, 1)
    counts = np.bincount(group[group >= 0], minlength=num)
    hits = np.bincount(group[(group >= 0) & right], minlength=num)
    shares = Shares(right=tuple(hits.tolist()), counts=tuple(counts.tolist()))
    if num > 1 or not np.array_equal(group, reference_group) or not counts[0]:
        return shares, None
    return shares, count_pairs(reference_right[group == 0], right[group == 0])


def _resample(
    kind: MetricKind, ours: np.ndarray, theirs: np.ndarray, labels: np.ndarray, more: tuple[Any, ...]
) -> np.ndarray:
    """Return the values of both models over the resamples in which both have one, float64 [M, 2]."""
    if kind.vectorized:
        pairs = _resample_at_once(kind, ours, theirs, labels, more)
    else:
        pairs = _resample_one_by_one(kind, ours, theirs, labels, more)
    defined: np.ndarray = pairs[np.isfinite(pairs).all(axis=1)]
    return defined


def _resample_at_once(
    kind: MetricKind, ours: np.ndarray, theirs: np.ndarray, labels: np.ndarray, more: tuple[Any, ...]
) -> np.ndarray:
    random, times = np.random.default_rng(0), np.ones(len(labels), dtype=np.int64)
    if kind.judges == "classes":  # few different triples: a resample is one draw of how many there are of each
        triples, times = np.unique(np.stack([labels, ours, theirs], axis=1), axis=0, return_counts=True)
        labels, ours, theirs = triples.T
    vectorized = kind.load("vectorized")
    functions = [vectorized(each, labels, *more) for each in (ours, theirs)]
    draws = [[function(counts) for function in functions] for counts in _draws(random, times, kind.resamples)]
    return np.concatenate([np.stack(each, axis=1) for each in draws])


def _draws(random: np.random.Generator, times: np.ndarray, num: int) -> Iterator[np.ndarray]:
    """Yield how often each of ``num`` resamples takes what there is ``times`` of, float64 [R, U], some at once."""
    n, different = int(times.sum()), len(times)
    at_once = max(1, DRAWS_AT_ONCE // different)
    for start in range(0, num, at_once):
        rows = min(at_once, num - start)
        if different < n:
            yield random.multinomial(n, times / n, rows).astype(np.float64)
        else:
            places = random.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
            yield np.bincount(places.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def _resample_one_by_one(
    kind: MetricKind, ours: np.ndarray, theirs: np.ndarray, labels: np.ndarray, more: tuple[Any, ...]
) -> np.ndarray:
    function: Function = kind.load()
    random, n = np.random.default_rng(0), len(labels)
    pairs = np.full((kind.resamples, 2), np.nan)
    for row in pairs:
        drawn = random.integers(0, n, n)
        try:
            row[:] = [function(each[drawn], labels[drawn], *more) for each in (ours, theirs)]
        except Exception:  # whatever a metric raises of samples that it has no value of, such as those of one class
            row[:] = np.nan
    return pairs


def _why_unproven(pairs: np.ndarray, num: int) -> str:
    undefined = 1 - len(pairs) / num
    return f"has no value in {undefined:.0%} of the resamples of the test split" if undefined > MAX_UNDEFINED else ""


def _why_constant(values: np.ndarray) -> str:
    return "is the same in every resample of the test split" if np.ptp(values) == 0 else ""
