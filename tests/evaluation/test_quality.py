"""Quality by task: the figures are scikit-learn's, the interval of the increase is the paired bootstrap's."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from thresher.errors import CompressionError
from thresher.evaluation.quality import ClassificationQuality, Quality, RegressionQuality, measure_quality
from thresher.evaluation.statistics import RESAMPLES, resample_rmse_increase

NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False)


def increase_of(*errors: np.ndarray) -> np.ndarray:
    ours, theirs = (np.sqrt((values**2).mean(axis=-1)) for values in errors)
    return np.asarray(ours - theirs)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=2, max_size=20))
def test_the_figures_are_those_of_scikit_learn(rows: list[tuple[float, float, float]]) -> None:
    ours, theirs, labels = np.array(rows).T
    quality = measure_quality(ours[:, None], theirs[:, None], labels)
    assert isinstance(quality, RegressionQuality)
    assert quality.rmse == pytest.approx(root_mean_squared_error(labels, ours))
    assert quality.mae == pytest.approx(mean_absolute_error(labels, ours))
    assert quality.r2 == pytest.approx(r2_score(labels, ours))
    assert quality.reference_rmse == pytest.approx(root_mean_squared_error(labels, theirs))
    assert quality.reference_r2 == pytest.approx(r2_score(labels, theirs))
    assert quality.increase.value == pytest.approx(quality.rmse - quality.reference_rmse, abs=1e-6)
    assert TypeAdapter(Quality).validate_json(quality.model_dump_json()) == quality


def test_classes_are_counted() -> None:
    ours, theirs = np.eye(3)[[0, 1, 2, 2]], np.eye(3)[[0, 1, 1, 0]]
    quality = measure_quality(ours, theirs, np.array([0, 1, 2, 0]))
    assert isinstance(quality, ClassificationQuality)
    assert (quality.accuracy, quality.reference_accuracy, quality.agreement) == (0.75, 0.75, 0.5)
    assert (quality.paired.lost, quality.paired.gained, quality.num_samples) == (1, 1, 4)


@pytest.mark.parametrize("labels", [np.array([1, 0]), np.array([0.5, 1.5])])
def test_answers_that_are_no_numbers_are_refused(labels: np.ndarray) -> None:
    with pytest.raises(CompressionError, match="1 of 2 test samples with no finite number"):
        measure_quality(np.array([[0.5], [np.nan]]), np.zeros((2, 1)), labels)


def test_the_resamples_are_all_that_there_are_at_their_frequencies() -> None:
    random = np.random.default_rng(5)
    ours, theirs = random.normal(size=(2, 5))
    every = np.array(list(itertools.product(range(5), repeat=5)))  # 3,125 resamples, each as likely as any other
    exact = np.sort(increase_of(ours[every], theirs[every]))
    quantiles = np.array(resample_rmse_increase(theirs, ours).quantiles)
    middles = (exact[1:] + exact[:-1]) / 2
    below = [(np.searchsorted(values, middles) / len(values)) for values in (exact, quantiles)]
    assert np.abs(below[0] - below[1]).max() < 0.02


@pytest.mark.parametrize("n", [40, 70_000])
def test_the_interval_is_that_of_resampled_indices(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thresher.evaluation.statistics.RESAMPLES", resamples := 300)
    random = np.random.default_rng(2)
    theirs = random.normal(0, 3, n)
    ours = theirs + random.normal(0, 1, n)
    draw = np.random.default_rng(0)
    shapes = [resamples * n] if n == 40 else [n] * resamples
    drawn = np.concatenate([draw.integers(0, n, size, dtype=np.int32) for size in shapes]).reshape(resamples, n)
    increases = np.array([increase_of(ours[row], theirs[row]) for row in drawn])
    got = resample_rmse_increase(theirs, ours)
    for confidence in (0.6, 0.95, 0.999):
        interval = got.interval(confidence)
        expected = np.quantile(increases, [1 - confidence, confidence])
        np.testing.assert_allclose([interval.lower, interval.upper], expected, rtol=1e-9)
    assert got.value == pytest.approx(increase_of(ours, theirs))


@pytest.mark.parametrize("bound", ["lower", "upper"])
def test_a_bound_of_the_increase_at_90_percent_is_wrong_one_time_in_ten(bound: str) -> None:
    # Errors with heavy tails, larger by a tenth in one model and much alike in both; each of the 150 test splits of
    # 150 samples is one experiment. The truth is that of very many samples.
    random = np.random.default_rng(3)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        theirs = random.laplace(size=n)
        return 1.1 * theirs + 0.3 * random.normal(size=n), theirs

    truth = increase_of(*draw(2_000_000))
    wrong = []
    for _ in range(150):
        ours, theirs = draw(150)
        interval = resample_rmse_increase(theirs, ours).interval(0.9)
        wrong.append(interval.upper < truth if bound == "upper" else interval.lower > truth)
    assert 0.03 < np.mean(wrong) < 0.19


def test_a_model_beside_itself_has_no_increase_at_all() -> None:
    errors = np.random.default_rng(0).normal(size=50)
    interval = resample_rmse_increase(errors, errors).interval(0.99)
    assert (interval.lower, interval.value, interval.upper) == (0, 0, 0)


def test_what_is_kept_is_small_however_many_samples_there_are() -> None:
    errors = np.random.default_rng(0).normal(size=(2, 1000))
    document = resample_rmse_increase(*errors).model_dump_json()
    assert len(document) < 60_000
    assert len(json.loads(document)["quantiles"]) == 2001 < RESAMPLES
