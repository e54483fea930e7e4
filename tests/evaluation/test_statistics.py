"""The intervals are what they claim: the paired bootstrap, with bounds that hold as often as they say."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest

from thresher.evaluation.statistics import (
    Interval,
    PairedCounts,
    accuracy_drop,
    balanced_accuracy,
    count_pairs,
    mcnemar_p,
    median_interval,
    resample_mean,
)

NORMAL = stats.norm()


def test_pairs_are_counted_by_who_was_right() -> None:
    reference = np.array([True, True, True, False, False, True])
    candidate = np.array([True, False, False, True, False, True])
    assert count_pairs(reference, candidate) == PairedCounts(num_samples=6, lost=2, gained=1)


def test_the_drop_is_the_difference_of_the_accuracies() -> None:
    drop = accuracy_drop(PairedCounts(num_samples=200, lost=9, gained=4), 0.95)
    assert drop.value == 5 / 200
    assert drop.lower <= drop.value <= drop.upper
    assert drop.confidence == 0.95


@pytest.mark.parametrize(("num_samples", "confidence"), [(30, 0.95), (500, 0.99), (10_000, 0.95)])
def test_without_a_differing_pair_the_bound_is_what_so_many_samples_can_tell(
    num_samples: int, confidence: float
) -> None:
    drop = accuracy_drop(PairedCounts(num_samples=num_samples, lost=0, gained=0), confidence)
    square = NormalDist().inv_cdf(confidence) ** 2
    assert drop.value == 0
    assert drop.upper == pytest.approx(square / (num_samples + square), abs=1e-6)  # Tango's in closed form
    assert drop.lower == pytest.approx(-drop.upper)


@pytest.mark.parametrize(("num_samples", "lost", "gained"), [(40, 2, 1), (40, 1, 3), (25, 1, 1), (60, 0, 2)])
def test_where_few_pairs_differ_the_bound_is_where_the_score_test_begins_to_reject(
    num_samples: int, lost: int, gained: int
) -> None:
    bound = accuracy_drop(PairedCounts(num_samples=num_samples, lost=lost, gained=gained), 0.975).upper

    def unlikelihood(share_gained: float) -> float:  # of the counts, if the true drop is the bound
        shares = np.array([share_gained + bound, share_gained, 1 - bound - 2 * share_gained])
        return -float(np.sum(np.array([lost, gained, num_samples - lost - gained]) * np.log(shares)))

    likeliest = minimize_scalar(unlikelihood, bounds=(1e-9, (1 - bound) / 2 - 1e-9), method="bounded").x
    deviation = np.sqrt(num_samples * (2 * likeliest + bound - bound**2))
    assert (num_samples * bound - (lost - gained)) / deviation == pytest.approx(NORMAL.ppf(0.975), abs=0.002)


@pytest.mark.parametrize(("right", "count"), [(0, 8), (8, 8), (5, 8), (190, 200)])
def test_the_bounds_of_one_class_are_those_of_its_exact_interval(right: int, count: int) -> None:
    found = balanced_accuracy(np.array([right, 0]), np.array([count, 0]), 0.95)
    exact = binomtest(right, count).proportion_ci(0.9)  # two-sided: 5 % lie beyond each end
    assert (found.value, found.lower, found.upper) == pytest.approx((right / count, exact.low, exact.high))


def test_classes_of_like_size_and_quality_have_the_interval_of_one_over_the_root_of_their_number() -> None:
    one = balanced_accuracy(np.array([30]), np.array([40]), 0.95)
    four = balanced_accuracy(np.full(4, 30), np.full(4, 40), 0.95)
    assert (four.value - four.lower, four.upper - four.value) == pytest.approx(
        ((one.value - one.lower) / 2, (one.upper - one.value) / 2)
    )


def test_the_interval_of_a_negative_is_mirrored() -> None:
    interval = Interval(value=1, lower=-2, upper=5, confidence=0.9, too_few=True)
    assert interval.negated == Interval(value=-1, lower=-5, upper=2, confidence=0.9, too_few=True)
    assert interval.negated.negated == interval


@pytest.mark.parametrize("confidence", [0.6, 0.95, 0.99])
def test_the_multinomial_draws_are_the_bootstrap_over_samples(confidence: float) -> None:
    n, lost, gained = 400, 20, 8
    differences = np.repeat([1, -1, 0], [lost, gained, n - lost - gained])
    resampled = np.random.default_rng(1).choice(differences, (10_000, n)).mean(axis=1)
    drop = accuracy_drop(PairedCounts(num_samples=n, lost=lost, gained=gained), confidence)
    expected = np.quantile(resampled, [1 - confidence, confidence])
    # No narrower, and with so many differing pairs hardly wider.
    assert drop.lower <= expected[0] + 1e-9 and drop.upper >= expected[1] - 1e-9
    np.testing.assert_allclose([drop.lower, drop.upper], expected, atol=2.1 / n)


@pytest.mark.parametrize("bound", ["lower", "upper"])
def test_a_bound_at_95_percent_is_wrong_one_time_in_twenty(bound: str) -> None:
    # The models' true drop is 0.02; each of the 400 pairs of test results is one experiment.
    random = np.random.default_rng(3)
    counts = random.multinomial(1500, [0.05, 0.03, 0.92], size=400)
    intervals = [
        accuracy_drop(PairedCounts(num_samples=1500, lost=int(lost), gained=int(gained)), 0.95)
        for lost, gained, _ in counts
    ]
    wrong = [interval.upper < 0.02 if bound == "upper" else interval.lower > 0.02 for interval in intervals]
    assert 0.02 < np.mean(wrong) < 0.085


def test_a_bound_at_95_percent_holds_where_few_pairs_differ() -> None:
    random = np.random.default_rng(4)
    for shares in ([0.006, 0.001, 0.993], [0.01, 0.0, 0.99]):
        counts = random.multinomial(500, shares, size=400)
        uppers = [
            accuracy_drop(PairedCounts(num_samples=500, lost=int(lost), gained=int(gained)), 0.95).upper
            for lost, gained, _ in counts
        ]
        assert np.mean(np.array(uppers) < shares[0] - shares[1]) < 0.085


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (1, 0), (9, 4), (30, 12), (200, 260)])
def test_mcnemars_p_is_the_exact_binomial_test(lost: int, gained: int) -> None:
    p = mcnemar_p(PairedCounts(num_samples=1000, lost=lost, gained=gained))
    expected = binomtest(lost, lost + gained, 0.5).pvalue if lost + gained else 1.0
    assert p == pytest.approx(expected)


def test_more_confidence_asks_for_a_wider_interval() -> None:
    counts = PairedCounts(num_samples=300, lost=12, gained=6)
    loose, strict = (accuracy_drop(counts, confidence) for confidence in (0.8, 0.99))
    assert strict.lower < loose.lower < loose.upper < strict.upper


def test_the_same_counts_always_give_the_same_interval() -> None:
    counts = PairedCounts(num_samples=300, lost=12, gained=6)
    assert accuracy_drop(counts, 0.95) == accuracy_drop(counts, 0.95)


def test_the_median_has_an_interval_that_an_outlier_does_not_move() -> None:
    values = np.append(np.random.default_rng(0).normal(2, 0.1, 41), 1000.0)
    interval = median_interval(values, 0.95)
    assert interval.value == np.median(values)
    assert 1.9 < interval.lower < interval.value < interval.upper < 2.1


def test_the_median_of_equal_values_is_certain() -> None:
    interval = median_interval(np.full(10, 1.5), 0.95)
    assert (interval.lower, interval.value, interval.upper) == (1.5, 1.5, 1.5)


@pytest.mark.parametrize("num_samples", [10, 20, 25, 29])
def test_of_few_samples_the_interval_of_a_mean_is_as_wide_as_students(num_samples: int) -> None:
    values = NORMAL.ppf((np.arange(num_samples) + 0.5) / num_samples)
    interval = resample_mean(values).interval(0.95)
    students = stats.t.ppf(0.95, num_samples - 1) * values.std(ddof=1) / np.sqrt(num_samples)
    assert (interval.upper - interval.lower) / 2 == pytest.approx(students, rel=0.03)


@pytest.mark.parametrize("num_samples", [30, 35])
def test_of_more_it_is_the_plain_percentile_interval(num_samples: int) -> None:
    values = NORMAL.ppf((np.arange(num_samples) + 0.5) / num_samples)
    interval = resample_mean(values).interval(0.95)
    normal = NORMAL.ppf(0.95) * values.std() / np.sqrt(num_samples)
    assert (interval.upper - interval.lower) / 2 == pytest.approx(normal, rel=0.03)


@pytest.mark.parametrize("confidence", [0.6, 0.7, 0.8, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("first", [0, 3, 8])
def test_the_interval_of_a_median_is_the_exact_bootstrap(first: int, confidence: float) -> None:
    # Of n values, that of rank k is not below a resample's median if at least half of n draws are of its rank or less.
    values = np.roll(np.array([1.0, 2, 4, 7, 11, 16, 22, 29, 37]), first)
    at_most = stats.binom.sf(4, 9, np.arange(1, 10) / 9)
    ordered, interval = np.sort(values), median_interval(values, confidence)
    for share, got in ((1 - confidence, interval.lower), (confidence, interval.upper)):
        assert np.abs(at_most - share).min() > 0.005, "too near a step for 10,000 resamples"
        assert got == ordered[np.searchsorted(at_most, share)]
