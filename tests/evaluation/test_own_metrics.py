"""The interval of a user's own metric holds as often as it says, and none is claimed where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import bootstrap

from thresher.evaluation.multiple_testing import describe_broken, keeps
from thresher.evaluation.own_metrics import OwnMetric, measure_own_metric
from thresher.evaluation.selection import Requirement
from thresher.kinds.record import MetricKind

SHARE_RIGHT = MetricKind("share_right", implementation=f"{__name__}:share_right", task="classification")
MEAN_ERROR = MetricKind("mean_error", implementation=f"{__name__}:mean_error", smaller_is_better=True)
HIT_RATE = MetricKind("hit_rate", implementation=f"{__name__}:hit_rate", task="classification")


def share_right(outputs: np.ndarray, labels: np.ndarray) -> float:
    return float((outputs.argmax(1) == labels).mean())


def mean_error(outputs: np.ndarray, labels: np.ndarray) -> float:
    return float(np.abs(outputs[:, 0] - labels).mean())


def hit_rate(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of class 1 that is found, as a metric that has no value without any."""
    if not (labels == 1).any():
        raise ValueError("only one class")
    return float((outputs.argmax(1) == labels)[labels == 1].mean())


def answers(right: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return probabilities [N, 2] that are right where ``right`` says so."""
    return np.eye(2)[np.where(right, labels, 1 - labels)]


def experiments(num: int, num_samples: int) -> list[OwnMetric]:
    """Return what is measured of a candidate that is right in 87 % of all cases and a reference that is in 90 %."""
    random, kind, found = np.random.default_rng(5), replace(SHARE_RIGHT, resamples=300), []
    for _ in range(num):
        labels, draws = random.integers(0, 2, num_samples), random.random(num_samples)
        reference, candidate = draws < 0.9, (draws < 0.84) | ((draws >= 0.9) & (draws < 0.93))
        found.append(measure_own_metric(kind, answers(candidate, labels), answers(reference, labels), labels))
    return found


def test_a_bound_at_95_percent_is_wrong_one_time_in_twenty() -> None:
    found = experiments(200, 300)
    values, losses = zip(*((own.interval(0.95), own.loss.interval(0.95)) for own in found if own.loss), strict=True)
    # 200 trials of 5 %: 2 to 18 of them in 99 %; a few more, since a percentile interval of a share is a little narrow.
    for intervals, truth in ((values, 0.87), (losses, 0.03)):
        assert 0.01 <= np.mean([interval.lower > truth for interval in intervals]) <= 0.1
        assert 0.01 <= np.mean([interval.upper < truth for interval in intervals]) <= 0.1


@pytest.mark.parametrize(("kind", "sign"), [(MEAN_ERROR, 1), (replace(MEAN_ERROR, smaller_is_better=False), -1)])
def test_it_is_the_paired_bootstrap_of_scipy(kind: MetricKind, sign: int) -> None:
    random = np.random.default_rng(2)
    labels, noise = random.normal(100, 20, 400), random.normal(0, 10, (400, 2))
    ours, reference = (labels + 1.3 * noise[:, 0] + 0.3 * noise[:, 1])[:, None], (labels + noise[:, 0])[:, None]

    def value(index: np.ndarray) -> float:
        return mean_error(ours[index], labels[index])

    def loss(index: np.ndarray) -> float:
        return sign * (value(index) - mean_error(reference[index], labels[index]))

    own = measure_own_metric(kind, ours, reference, labels)
    assert own.loss is not None
    for got, statistic in ((own.interval(0.95), value), (own.loss.interval(0.95), loss)):
        theirs = bootstrap(
            (np.arange(400),), statistic, n_resamples=2000, confidence_level=0.9, method="percentile",
            vectorized=False, rng=1,
        ).confidence_interval  # fmt: skip
        width = theirs.high - theirs.low
        assert got.value == pytest.approx(statistic(np.arange(400)))
        assert [got.lower, got.upper] == pytest.approx([theirs.low, theirs.high], abs=0.06 * width)


def test_what_no_resample_changes_proves_nothing() -> None:
    labels = np.arange(200) % 2
    perfect, unsure = answers(labels >= 0, labels), 0.9 * answers(labels >= 0, labels) + 0.05
    own = measure_own_metric(SHARE_RIGHT, perfect, unsure, labels)
    assert own.loss is not None
    for interval, requirement in (
        (own.interval(0.95), Requirement(at_least=0.9, confidence=0.95)),
        (own.loss.interval(0.95), Requirement(at_most=0.1, confidence=0.95)),
    ):
        assert not keeps(interval, requirement)
        assert keeps(interval, requirement.model_copy(update={"confidence": None}))
        text = describe_broken("accuracy", interval, requirement)
        assert text.endswith("is the same in every resample of the test split, which proves nothing")


def test_a_candidate_that_answers_alike_loses_nothing() -> None:
    labels = np.arange(200) % 2
    outputs = answers(np.arange(200) > 9, labels)
    loss = measure_own_metric(SHARE_RIGHT, outputs, outputs.copy(), labels).loss
    assert loss is not None and keeps(loss.interval(0.95), Requirement(at_most=0.0, confidence=0.95))


@pytest.mark.parametrize(("num_rare", "is_proven"), [(5, True), (2, False)])
def test_resamples_without_a_value_are_left_out_while_they_are_few(num_rare: int, is_proven: bool) -> None:
    # Without any of 5 samples of 100 are 0.6 % of the resamples, without any of 2 are 13 %.
    labels = (np.arange(100) < num_rare).astype(int)
    outputs, reference = answers(np.arange(100) > 0, labels), answers(np.arange(100) > 1, labels)
    interval = measure_own_metric(HIT_RATE, outputs, reference, labels).interval(0.95)
    assert np.isfinite([interval.lower, interval.upper]).all()
    assert interval.proves_nothing is not is_proven
    if not is_proven:
        requirement = Requirement(at_least=0.1, confidence=0.95)
        assert not keeps(interval, requirement)
        text = describe_broken("accuracy", interval, requirement)
        assert text == "accuracy 0.5000 has no value in 13% of the resamples of the test split, which proves nothing"


def test_a_metric_that_asks_for_no_resamples_has_no_interval() -> None:
    kind, labels = replace(SHARE_RIGHT, resamples=0), np.arange(10) % 2
    own = measure_own_metric(kind, answers(labels == 0, labels), answers(labels >= 0, labels), labels)
    assert (own.value, own.reference, own.resampled, own.loss) == (0.5, 1.0, None, None)
    interval = own.interval(0.95)
    assert (interval.lower, interval.upper) == (0.5, 0.5)
    assert not kind.allows_confidence and kind.loss() is None
