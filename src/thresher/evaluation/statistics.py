"""Intervals: a requirement with a confidence holds only if the interval's bound does."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from thresher.config import Config

RESAMPLES = 10_000
DRAWS_AT_ONCE = 2**16
PRECISION = 1e-7
"""The precision of a bound that is found by bisection."""
QUANTILES = np.linspace(0, 1, 2001)
FEW_SAMPLES = 30
"""With fewer samples the percentile interval is too narrow; it is widened as Student's t is wider than the normal's."""
TOO_FEW_SAMPLES = 10
"""With fewer samples it errs more than twice as often as it says, even if widened: they prove nothing of a mean."""


class Interval(Config):
    """An estimate with one-sided bounds: the truth is above ``lower``, and below ``upper``, each at ``confidence``."""

    value: float
    lower: float
    upper: float
    confidence: float
    too_few: bool = False
    """Whether so few samples are behind it that it proves nothing, as narrow as it may be."""
    unproven: str = ""
    """Why it proves nothing for another reason, worded to follow the value; empty where it does prove something."""

    @property
    def proves_nothing(self) -> bool:
        """Whether its bounds must not be relied on."""
        return self.too_few or bool(self.unproven)

    @property
    def negated(self) -> Interval:
        """The interval of the value with the other sign."""
        return self.model_copy(update={"value": -self.value, "lower": -self.upper, "upper": -self.lower})


def exactly(value: float, confidence: float) -> Interval:
    """Return the interval of what has none: its bounds are the value."""
    return Interval(value=value, lower=value, upper=value, confidence=confidence)


class PairedCounts(Config):
    """How two models differ on the same test samples; all that the bootstrap of their difference needs."""

    num_samples: int
    lost: int
    """Right in the reference, wrong in the candidate."""
    gained: int
    """Wrong in the reference, right in the candidate."""


class Resampled(Config):
    """An estimate, and what it was in the resamples of a bootstrap: an interval at any confidence is in it."""

    value: float
    quantiles: tuple[float, ...]
    """The quantiles of the resamples at every 0.0005 from 0 to 1: a tenth of the space that all of them would take."""
    num_samples: int
    unproven: str = ""
    """The same as in `Interval`."""

    def interval(self, confidence: float) -> Interval:
        """Return the percentile interval; of few samples the expanded one.

        Source: Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69, 2015.
        """
        share = _expanded(confidence, self.num_samples)
        lower, upper = np.interp([1 - share, share], QUANTILES, self.quantiles).tolist()
        return Interval(
            value=self.value,
            lower=lower,
            upper=upper,
            confidence=confidence,
            too_few=self.num_samples < TOO_FEW_SAMPLES,
            unproven=self.unproven,
        )


def count_pairs(reference_correct: np.ndarray, candidate_correct: np.ndarray) -> PairedCounts:
    """Return the counts for two bool arrays [N] over the same samples in the same order."""
    assert reference_correct.shape == candidate_correct.shape
    return PairedCounts(
        num_samples=len(reference_correct),
        lost=int((reference_correct & ~candidate_correct).sum()),
        gained=int((~reference_correct & candidate_correct).sum()),
    )


def accuracy_drop(counts: PairedCounts, confidence: float, seed: int = 0) -> Interval:
    """Return the drop in accuracy by the paired bootstrap, 10,000 resamples, no narrower than a score test's.

    A resample of N pairs with three possible differences (-1, 0, 1) is one draw from a multinomial, so this is the
    bootstrap itself, not an approximation of it. Where few pairs differ it is too narrow, and has no width at all where
    none does: there, Tango's score interval is the wider one, and its bound is taken.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993; Tango, "Equivalence test and confidence
    interval for the difference in proportions for the paired-sample design", Statistics in Medicine 17, 1998.
    """
    n, lost, gained = counts.num_samples, counts.lost, counts.gained
    resampled = _interval((lost - gained) / n, _resample_drops(n, lost, gained, seed), confidence)
    return Interval(
        value=resampled.value,
        lower=min(resampled.lower, -_score_bound(n, gained, lost, confidence)),
        upper=max(resampled.upper, _score_bound(n, lost, gained, confidence)),
        confidence=confidence,
    )


def mcnemar_p(counts: PairedCounts) -> float:
    """Return the two-sided p-value of McNemar's exact test: that both models are right equally often.

    Source: McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12, 1947, with the binomial distribution in place of the chi-square.
    """
    from scipy.special import bdtr  # scipy.stats.binomtest gives the same, and takes over a second to be imported

    return min(1.0, 2 * float(bdtr(min(counts.lost, counts.gained), counts.lost + counts.gained, 0.5)))


def expected_bound(num_samples: int, share: float, drop: float, confidence: float) -> float:
    """Return what the upper bound of `accuracy_drop` comes to for a ``drop`` that is not measured yet.

    The bootstrap's end is that of the normal distribution which it draws near to, so that it costs nothing to ask for
    many sizes; Tango's is the same one.

    Args:
        share: of the answers that differ.
    """
    lost, gained = (max(share, drop) + drop) / 2 * num_samples, (max(share, drop) - drop) / 2 * num_samples
    spread = math.sqrt(max(share, drop) - drop**2) / math.sqrt(num_samples)
    return max(drop + NormalDist().inv_cdf(confidence) * spread, _score_bound(num_samples, lost, gained, confidence))


@lru_cache(maxsize=64)  # asked for at several confidences
def _resample_drops(num_samples: int, lost: int, gained: int, seed: int) -> np.ndarray:
    shares = np.array([lost, gained, num_samples - lost - gained]) / num_samples
    draws = np.random.default_rng(seed).multinomial(num_samples, shares, size=RESAMPLES)
    drops: np.ndarray = (draws[:, 0] - draws[:, 1]) / num_samples
    return drops


def _score_bound(n: int, lost: float, gained: float, confidence: float) -> float:
    """Return the largest drop that Tango's score test of ``n`` pairs does not reject, one-sided."""
    critical = NormalDist().inv_cdf(confidence)

    def is_rejected(drop: float) -> bool:
        # The share of gained pairs that is likeliest if the drop is this one, and the statistic's variance with it.
        half = ((2 * n - lost + gained) * drop - lost - gained) / (4 * n)
        share = math.sqrt(half**2 + gained * drop * (1 - drop) / (2 * n)) - half
        return n * drop - lost + gained > critical * math.sqrt(n * max(0.0, 2 * share + drop * (1 - drop)))

    low, high = (lost - gained) / n, 1.0
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (low, middle) if is_rejected(middle) else (middle, high)
    return high


def resample_rmse_increase(reference_errors: np.ndarray, candidate_errors: np.ndarray, seed: int = 0) -> Resampled:
    """Return the increase in the root mean squared error by the paired bootstrap, 10,000 resamples.

    A resample takes the same samples for both models. All of them take 0.07 s for 1,000 samples and some 6 s for
    100,000; in memory is one at a time, or a few small ones.

    Args:
        reference_errors: value minus label, float64 [N].
        candidate_errors: of the same samples in the same order.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.
    """
    assert reference_errors.shape == candidate_errors.shape
    squares = np.stack([candidate_errors, reference_errors], axis=1) ** 2
    # Models that err alike on each sample do so in each resample.
    alike = (squares[:, 0] == squares[:, 1]).all()
    means = np.zeros((RESAMPLES, 2)) if alike else _resample_means(squares, np.random.default_rng(seed))
    value, increases = _difference_of_roots(squares.mean(axis=0)), _difference_of_roots(means)
    return resampled(float(value), increases, len(squares))


def resample_mean(values: np.ndarray, seed: int = 0) -> Resampled:
    """Return the mean of ``values`` [N] by the bootstrap, 10,000 resamples."""
    means = _resample_means(values[:, None], np.random.default_rng(seed))
    return resampled(float(values.mean()), means[:, 0], len(values))


def balanced_accuracy(right: np.ndarray, counts: np.ndarray, confidence: float) -> Interval:
    """Return the mean of the classes' shares of right answers, each class counting alike, with its interval.

    The distance of each end is the root of the sum of squares of those of the classes' own exact intervals, which have
    a width where all answers are right or wrong. Wilson's, which are narrower, err too often for rare classes.

    Args:
        right: right answers of each class, int [K].
        counts: samples of each class, int [K]; those without any do not count.

    Source: Zou and Donner, "Construction of confidence limits about effect measures: a general approach", Statistics in
    Medicine 27, 2008; Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 26, 1934.
    """
    right, counts = right[counts > 0], counts[counts > 0]
    shares = right / counts
    lower, upper = _exact_shares(right, counts, confidence)
    value, down, up = float(shares.mean()), np.hypot.reduce(shares - lower), np.hypot.reduce(upper - shares)
    num = len(counts)
    return Interval(value=value, lower=value - float(down) / num, upper=value + float(up) / num, confidence=confidence)


def _exact_shares(right: np.ndarray, counts: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of each share's exact interval, one-sided at ``confidence``."""
    from scipy.special import betaincinv

    lower = np.where(right == 0, 0.0, betaincinv(np.maximum(right, 1), counts - right + 1, 1 - confidence))
    upper = np.where(right == counts, 1.0, betaincinv(right + 1, np.maximum(counts - right, 1), confidence))
    return lower, upper


def _expanded(confidence: float, num_samples: int) -> float:
    """Return at which share of the resamples the end is that ``confidence`` asks for."""
    if not 1 < num_samples < FEW_SAMPLES:
        return confidence
    from scipy.special import stdtrit

    wider = math.sqrt(num_samples / (num_samples - 1)) * float(stdtrit(num_samples - 1, confidence))
    return NormalDist().cdf(wider)


def resampled(value: float, resamples: np.ndarray, num_samples: int, unproven: str = "") -> Resampled:
    """Return the estimate ``value`` from ``num_samples`` samples, with its ``resamples``; there may be none."""
    quantiles = tuple(np.quantile(resamples if len(resamples) else [value], QUANTILES).tolist())
    return Resampled(value=value, quantiles=quantiles, num_samples=num_samples, unproven=unproven)


def median_interval(values: np.ndarray, confidence: float, seed: int = 0) -> Interval:
    """Return the median of ``values`` [N] with its percentile bootstrap interval."""
    resamples = np.random.default_rng(seed).choice(values, (RESAMPLES, len(values)))
    return _interval(float(np.median(values)), np.median(resamples, axis=1), confidence)


def _resample_means(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the means over each of 10,000 resamples of the rows of ``values`` [N, M], of shape [10000, M]."""
    n = len(values)
    rows = max(1, min(RESAMPLES, DRAWS_AT_ONCE // n))
    means = []
    for start in range(0, RESAMPLES, rows):
        drawn = random.integers(0, n, (min(rows, RESAMPLES - start), n), dtype=np.int32)
        # How often each sample was drawn is all that the means need; counted for some resamples at once.
        places = drawn + n * np.arange(len(drawn))[:, None]
        counts = np.bincount(places.ravel(), minlength=drawn.size).reshape(drawn.shape)
        means.append(counts @ values / n)
    return np.concatenate(means)


def _difference_of_roots(mean_squares: np.ndarray) -> np.ndarray:
    difference: np.ndarray = np.sqrt(mean_squares[..., 0]) - np.sqrt(mean_squares[..., 1])
    return difference


def _interval(value: float, resamples: np.ndarray, confidence: float) -> Interval:
    lower, upper = np.quantile(resamples, [1 - confidence, confidence])
    return Interval(value=value, lower=float(lower), upper=float(upper), confidence=confidence)
