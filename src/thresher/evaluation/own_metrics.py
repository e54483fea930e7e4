"""Metrics of packages and of the user's project, with their intervals: the paired bootstrap over the test samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from thresher.config import Config
from thresher.errors import CompressionError
from thresher.evaluation.metrics import find_metric
from thresher.evaluation.statistics import Interval, Resampled, exactly, resampled
from thresher.kinds.record import MetricKind

MAX_UNDEFINED = 0.05
"""Share of resamples without a value, such as those without a rare class, above which there is no interval."""
Function = Callable[[np.ndarray, np.ndarray], float]


class OwnMetric(Config):
    """What one metric says of a candidate, beside the reference on the same test samples."""

    value: float
    reference: float
    resampled: Resampled | None = None
    """The value over resamples of the test split; None where the metric's record asks for none."""
    loss: Resampled | None = None
    """How much worse than the reference's the value is, over the same resamples."""

    def interval(self, confidence: float) -> Interval:
        """Return the value with its bounds, which are the value where nothing was resampled."""
        return exactly(self.value, confidence) if self.resampled is None else self.resampled.interval(confidence)


def measure_own_metrics(
    names: Iterable[str], outputs: np.ndarray, reference_outputs: np.ndarray, labels: np.ndarray
) -> dict[str, OwnMetric]:
    """Return the metrics ``names``, each by its implementation.

    A resample takes the same samples for both models.

    Args:
        outputs: probabilities [N, K], or values [N, 1].
        reference_outputs: of the reference, for the same samples in the same order.
        labels: of shape [N], int64 classes for probabilities, float64 for values.

    Raises:
        CompressionError: one is not a finite number.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.
    """
    return {name: measure_own_metric(find_metric(name), outputs, reference_outputs, labels) for name in names}


def measure_own_metric(
    kind: MetricKind, outputs: np.ndarray, reference_outputs: np.ndarray, labels: np.ndarray
) -> OwnMetric:
    function: Function = kind.load()
    value, reference = (_value(kind.name, function, each, labels) for each in (outputs, reference_outputs))
    if not kind.resamples:
        return OwnMetric(value=value, reference=reference)
    pairs = _resample(function, kind.resamples, outputs, reference_outputs, labels)
    sign, n = (1 if kind.smaller_is_better else -1), len(labels)
    why = _why_unproven(pairs, kind.resamples)
    # Answers that are alike to the last bit are those of one function, as far as anybody can see.
    alike = np.array_equal(outputs, reference_outputs)
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
    )


def _value(name: str, function: Function, outputs: np.ndarray, labels: np.ndarray) -> float:
    value = function(outputs, labels)
    if not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
        raise CompressionError(f"The metric {name} is {value!r}, where a finite number is expected.")
    return float(value)


def _resample(
    function: Function, num: int, outputs: np.ndarray, reference_outputs: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Return the values of both models over the resamples in which both have one, float64 [M, 2]."""
    random, n = np.random.default_rng(0), len(labels)
    pairs = np.full((num, 2), np.nan)
    for row in pairs:
        drawn = random.integers(0, n, n)
        try:
            row[:] = [function(each[drawn], labels[drawn]) for each in (outputs, reference_outputs)]
        except Exception:  # whatever a metric raises of samples that it has no value of, such as those of one class
            row[:] = np.nan
    defined: np.ndarray = pairs[np.isfinite(pairs).all(axis=1)]
    return defined


def _why_unproven(pairs: np.ndarray, num: int) -> str:
    undefined = 1 - len(pairs) / num
    return f"has no value in {undefined:.0%} of the resamples of the test split" if undefined > MAX_UNDEFINED else ""


def _why_constant(values: np.ndarray) -> str:
    return "is the same in every resample of the test split" if np.ptp(values) == 0 else ""
