"""Intervals: a requirement with a confidence holds only if the interval's bound does."""

from __future__ import annotations

import numpy as np

from thresher.config import Config

RESAMPLES = 10_000


class Interval(Config):
    """An estimate with one-sided bounds: the truth is above ``lower``, and below ``upper``, each at ``confidence``."""

    value: float
    lower: float
    upper: float
    confidence: float


class PairedCounts(Config):
    """How two models differ on the same test samples; all that the bootstrap of their difference needs."""

    num_samples: int
    lost: int
    """Right in the reference, wrong in the candidate."""
    gained: int
    """Wrong in the reference, right in the candidate."""


def count_pairs(reference_correct: np.ndarray, candidate_correct: np.ndarray) -> PairedCounts:
    """Return the counts for two bool arrays [N] over the same samples in the same order."""
    assert reference_correct.shape == candidate_correct.shape
    return PairedCounts(
        num_samples=len(reference_correct),
        lost=int((reference_correct & ~candidate_correct).sum()),
        gained=int((~reference_correct & candidate_correct).sum()),
    )


def accuracy_drop(counts: PairedCounts, confidence: float, seed: int = 0) -> Interval:
    """Return the drop in accuracy by the paired percentile bootstrap, 10,000 resamples.

    A resample of N pairs with three possible differences (-1, 0, 1) is one draw from a multinomial, so this is the
    bootstrap itself, not an approximation of it.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.
    """
    n = counts.num_samples
    shares = np.array([counts.lost, counts.gained, n - counts.lost - counts.gained]) / n
    draws = np.random.default_rng(seed).multinomial(n, shares, size=RESAMPLES)
    drops = (draws[:, 0] - draws[:, 1]) / n
    return _interval((counts.lost - counts.gained) / n, drops, confidence)


def median_interval(values: np.ndarray, confidence: float, seed: int = 0) -> Interval:
    """Return the median of ``values`` [N] with its percentile bootstrap interval."""
    resamples = np.random.default_rng(seed).choice(values, (RESAMPLES, len(values)))
    return _interval(float(np.median(values)), np.median(resamples, axis=1), confidence)


def _interval(value: float, resamples: np.ndarray, confidence: float) -> Interval:
    lower, upper = np.quantile(resamples, [1 - confidence, confidence])
    return Interval(value=value, lower=float(lower), upper=float(upper), confidence=confidence)
