"""What the plan says that a test split shows is what the verdict then finds, in simulated runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from thresher.evaluation.detectable import (
    POWER,
    bound_of_no_loss,
    find_detectable,
    largest_loss_shown,
    least_share_shown,
    samples_for,
)
from thresher.evaluation.own_metrics import Shares
from thresher.evaluation.selection import Selection
from thresher.evaluation.statistics import PairedCounts, accuracy_drop, expected_bound

RUNS = 100
CHANCE = 3 * (POWER * (1 - POWER) / RUNS) ** 0.5


def shows(num_test: int, task: str = "classification", num_candidates: int = 1, **selection: Any) -> list[str]:
    counts = selection.pop("class_counts", None)
    return find_detectable(Selection.model_validate(selection), task, num_test, num_candidates, counts)


def share_that_passes(num: int, differ: float, loss: float, at_most: float, level: float) -> float:
    """Return how many of `RUNS` verdicts find that a candidate with a true ``loss`` keeps ``at_most``."""
    random = np.random.default_rng(7)
    shares = [(differ + loss) / 2, (differ - loss) / 2, 1 - differ]
    drawn = random.multinomial(num, shares, size=RUNS)[:, :2].tolist()
    counts = [PairedCounts(num_samples=num, lost=lost, gained=gained) for lost, gained in drawn]
    return float(np.mean([accuracy_drop(each, level).upper <= at_most for each in counts]))


@pytest.mark.parametrize("differ", [0.01, 0.05])
@pytest.mark.parametrize(("at_most", "level"), [(0.01, 0.95), (0.02, 0.99)])
def test_four_of_five_candidates_pass_with_the_samples_that_are_said_to_do(
    differ: float, at_most: float, level: float
) -> None:
    num = samples_for(differ, at_most, level)
    assert num is not None
    assert abs(share_that_passes(num, differ, 0.0, at_most, level) - POWER) < CHANCE + 0.05  # whole answers


@pytest.mark.parametrize(("num", "differ"), [(5_000, 0.02), (20_000, 0.05)])
def test_four_of_five_candidates_that_lose_what_is_said_pass(num: int, differ: float) -> None:
    most = largest_loss_shown(num, differ, 0.01, 0.95)
    assert most is not None and 0 < most < 0.01
    assert abs(share_that_passes(num, differ, most, 0.01, 0.95) - POWER) < CHANCE + 0.02
    assert share_that_passes(num, differ, 0.01, 0.01, 0.95) < 0.1  # what loses the allowed passes one time in twenty


@pytest.mark.parametrize("num", [200, 2_000, 20_000])
@pytest.mark.parametrize(("differ", "drop"), [(0.0, 0.0), (0.02, 0.0), (0.1, 0.01), (0.02, 0.02)])
def test_the_bound_that_is_told_is_the_verdicts(num: int, differ: float, drop: float) -> None:
    lost, gained = round(num * (differ + drop) / 2), round(num * (differ - drop) / 2)
    own = accuracy_drop(PairedCounts(num_samples=num, lost=lost, gained=gained), 0.95).upper
    assert expected_bound(num, differ, drop, 0.95) == pytest.approx(own, abs=1.5 / num)  # one answer
    if not drop:
        assert bound_of_no_loss(num, differ, 0.95) == own


@pytest.mark.parametrize("counts", [(400,), (100, 300), (30, 30, 340)])
def test_the_least_measured_share_is_just_enough(counts: tuple[int, ...]) -> None:
    least = least_share_shown(Shares(right=tuple(0 for _ in counts), counts=counts), 0.8, 0.95)
    assert least is not None and 0.8 < least < 0.95

    def lower(share: float) -> float:
        right = tuple(int(np.floor(share * count)) for count in counts)
        return Shares(right=right, counts=counts).interval(0.95).lower

    assert lower(least + 0.02) >= 0.8 > lower(least - 0.02)
    assert least_share_shown(Shares(right=(0,), counts=(10,)), 0.9, 0.95) is None


@pytest.mark.oddity(
    "Verdict", "500 test samples for a bound of half a point", "the plan says what they show, and how many would do"
)
def test_each_bound_has_its_sentence() -> None:
    drop = {"accuracy_drop": {"at_most": 0.005, "confidence": 0.95}}
    (said,) = shows(500, require=drop)
    head, none, _, most = said.splitlines()
    assert head.startswith(
        "accuracy_drop at_most: 0.005 on 500 test samples, at 0.95: the bound, where nothing is lost"
    )
    assert none == "  none: 0.0054"
    assert most == "  5%: 0.0169; too few: with 12,413 samples, four of five such candidates pass"
    (said,) = shows(40_000, require=drop)
    assert "four of five candidates that truly lose 0.0022 pass" in said
    assert "2 candidates together, each at 0.975" in shows(500, num_candidates=2, require=drop)[0]
    assert not shows(500, require={"accuracy_drop": {"at_most": 0.005}, "size_bytes": {"at_most": 5}})
    noise = {"accuracy_drop": {"at_most": 0.03, "confidence": 0.95}, "accuracy": {"at_least": 0.5}}
    elsewhere = {"noise": noise, "blurred": noise}
    (on_noise,) = find_detectable(
        Selection.model_validate({"require_on": elsewhere}), "classification", 500, 1, None, ("noise", "blurred")
    )
    assert on_noise.startswith("on noise, blurred, accuracy_drop at_most: 0.03 on 500 test samples")
    assert not shows(500, require_on=elsewhere)
    (part,) = shows(5_000, slices={"by": ["label"], "accuracy_drop": {"at_most": 0.03, "confidence": 0.95}})
    assert part.startswith("the smallest part that is judged, accuracy_drop at_most: 0.03 on 30 test samples")


def test_a_metric_of_a_class_rests_on_its_samples() -> None:
    counts = {"ham": 900, "spam": 100}
    recall = {"recall[spam]": {"at_least": 0.9, "confidence": 0.95}}
    (said,) = shows(1_000, require=recall, class_counts=counts)
    assert "on 100 test samples of class 'spam', at 0.95: a model keeps it that measures 0.9600 or more" in said
    (few,) = shows(1_000, require=recall, class_counts={"ham": 980, "spam": 20})
    assert few.endswith("too few to show it, even if every answer is right; it takes 29")
    (paired,) = shows(1_000, require={"recall[spam]_drop": {"at_most": 0.05, "confidence": 0.95}}, class_counts=counts)
    assert "on 100 test samples of class 'spam'" in paired and "none: 0.0263" in paired
    for unknown in ("precision[spam]", "f1[spam]"):
        assert (
            "unknown before training"
            in shows(1_000, require={unknown: {"at_least": 0.9, "confidence": 0.95}}, class_counts=counts)[0]
        )


def test_a_regression_says_that_it_is_not_known() -> None:
    (said,) = shows(500, "regression", require={"rmse_increase": {"at_most": 0.1, "confidence": 0.95}})
    assert "unknown before training, since it hangs on how much the errors differ" in said
