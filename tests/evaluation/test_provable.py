"""What a test split cannot show is said before anything is trained, and what is said is so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from thresher.errors import ParityError
from thresher.evaluation.exported import check_exported
from thresher.evaluation.multiple_testing import check_one, describe_broken
from thresher.evaluation.provable import find_unprovable
from thresher.evaluation.quality import measure_quality
from thresher.evaluation.selection import Requirement, Selection
from thresher.evaluation.statistics import PairedCounts, accuracy_drop
from thresher.modalities.samples import Samples


def notes(task: str, num_test: int, num_candidates: int = 1, **selection: Any) -> list[str]:
    return find_unprovable(Selection.model_validate(selection), task, num_test, num_candidates)


def drop(at_most: float, confidence: float | None = 0.95) -> dict[str, Any]:
    return {"accuracy_drop": {"at_most": at_most, "confidence": confidence}}


@pytest.mark.oddity("Verdict", "a bound that the test split is too small to show", "a note with the plan, with its fix")
def test_a_bound_that_a_split_cannot_show_is_said_with_how_many_samples_can() -> None:
    (note,) = notes("classification", 500, require=drop(0.005))
    assert "500 test samples show no less than 0.0054 without one lost answer, and 0.005 is asked for" in note
    assert "Fix: at least 539 test samples, or at_most: 0.0054." in note
    assert not notes("classification", 539, require=drop(0.005))
    assert notes("classification", 538, require=drop(0.005))
    assert not notes("classification", 500, require=drop(0.005, confidence=None))
    assert not notes("classification", 500, num_candidates=0, require=drop(0.005))


@pytest.mark.parametrize(("at_most", "confidence", "tried"), [(0.005, 0.95, 1), (0.01, 0.99, 1), (0.02, 0.95, 5)])
def test_what_is_said_to_be_enough_is_just_enough(at_most: float, confidence: float, tried: int) -> None:
    asked, level = drop(at_most, confidence), 1 - (1 - confidence) / tried
    first = next(count for count in range(10, 5000) if not notes("classification", count, tried, require=asked))
    bounds = [
        accuracy_drop(PairedCounts(num_samples=count, lost=0, gained=0), level).upper for count in (first, first - 1)
    ]
    assert bounds[0] <= at_most + 1e-7 and bounds[1] > at_most


def test_many_candidates_need_more_samples_unless_each_is_judged_alone() -> None:
    (note,) = notes("classification", 600, num_candidates=3, require=drop(0.005))
    assert "(for 3 candidates together, each at 0.9833)" in note
    assert "(for 2 candidates together, each at 0.975)" in notes("classification", 600, 2, require=drop(0.005))[0]
    assert "together" not in notes("classification", 500, 1, require=drop(0.005))[0]
    assert not notes("classification", 600, num_candidates=3, require=drop(0.005), correction="none")


def test_no_split_shows_that_nothing_at_all_is_lost() -> None:
    (note,) = notes("classification", 10**6, require=drop(0.0))
    assert "at least" not in note and "Fix: at_most: 0.0001" in note


def test_parts_that_are_too_small_for_their_bound_are_said() -> None:
    parts = {"by": ["label"], "accuracy_drop": {"at_most": 0.03, "confidence": 0.95}}
    (note,) = notes("classification", 10_000, slices=parts)
    assert "a part of fewer than 88 test samples can not show at most 0.03" in note
    assert not notes("classification", 10_000, slices={**parts, "min_samples": 88})


@pytest.mark.oddity(
    "Verdict", "a regression with one test row", "its interval of no width proves nothing; said at once"
)
@pytest.mark.parametrize("num_test", [1, 9])
def test_few_rows_prove_nothing_of_a_regression(num_test: int) -> None:
    required = {"rmse_increase": {"at_most": 50, "confidence": 0.95}}
    fails, alone = notes("regression", num_test, require=required)
    assert "the run will fail" in fails and "allow_no_better_than_baseline" in fails
    assert "Float alone can keep a bound with a confidence" in alone
    assert not notes("regression", 10, require=required)
    labels = np.arange(float(num_test))
    quality = measure_quality(labels[:, None] + 0.4, labels[:, None] + 0.4, labels)
    bound = Requirement(at_most=50, confidence=0.95)
    loss = quality.loss(0.95)
    assert loss.upper == 0 and not check_one(loss, bound).holds
    assert describe_broken("rmse_increase", loss, bound) == (
        "rmse_increase 0 on fewer than 10 test samples, which prove nothing"
    )
    assert check_one(loss, Requirement(at_most=50)).holds


def split(labels: Any, names: tuple[str, ...] = ()) -> Samples[np.ndarray]:
    return Samples(np.zeros((len(labels), 1), np.float32), np.asarray(labels), names)


@pytest.mark.oddity(
    "Verdict", "the exported file errs more than training reported", "the run stops and says both figures"
)
def test_a_file_that_is_worse_than_training_reported_stops_the_run() -> None:
    labels = 1.7e9 + np.random.default_rng(0).uniform(0, 100, 35)
    rounded = labels.astype(np.float32).astype(np.float64)[:, None]  # what float32 makes of moments of today
    with pytest.raises(ParityError, match=r"rmse \d+.* on the 35 validation samples, and training reported 0.4 on"):
        check_exported(rounded, split(labels), 0.4)
    found = check_exported(labels[:, None] + 0.4, split(labels), 0.4001)
    assert found.sentence == "validation rmse 0.4001 as trained, 0.4 as exported"


@pytest.mark.parametrize(("reported", "agrees"), [(0.9, True), (0.88, True), (0.8, False), (1.0, False)])
def test_an_accuracy_must_lie_within_what_the_file_comes_to(reported: float, agrees: bool) -> None:
    labels = np.arange(300) % 2
    answers = np.where(np.arange(300) < 270, labels, 1 - labels)
    outputs, samples = np.eye(2, dtype=np.float32)[answers], split(labels, ("no", "yes"))
    if agrees:
        assert check_exported(outputs, samples, reported).found.value == 0.9
    else:
        with pytest.raises(ParityError, match="training reported"):
            check_exported(outputs, samples, reported)


def test_one_validation_sample_is_no_ground_to_stop() -> None:
    assert check_exported(np.array([[3.4]]), split([3.0]), 0.4).num_samples == 1
    assert check_exported(np.array([[0.1, 0.9]]), split([1], ("no", "yes")), 1.0).found.value == 1
