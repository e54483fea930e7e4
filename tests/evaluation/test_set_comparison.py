"""Further test sets have bounds of their own: a candidate that keeps those of test may break one elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.judge import judge
from thresher.evaluation.own_metrics import compute_metric
from thresher.evaluation.selection import Selection
from thresher.evaluation.set_comparison import POOLED, SetComparison, SetOutputs, compare_sets, pool
from thresher.evaluation.statistics import PairedCounts, accuracy_drop

NAMES = ("cat", "dog")
NUM = 500


def outputs(wrong: int, num: int = NUM) -> tuple[np.ndarray, np.ndarray]:
    """Return labels, and answers of which the first ``wrong`` are wrong."""
    labels = np.arange(num) % 2
    answers = np.where(np.arange(num) < wrong, 1 - labels, labels)
    return labels, np.eye(2, dtype=np.float32)[answers]


def test_set(num: int = NUM, failed: dict[str, str] | None = None, **wrong: int) -> SetOutputs:
    labels = outputs(0, num)[0]
    return SetOutputs("made", labels, {name: outputs(each, num)[1] for name, each in wrong.items()}, failed or {})


test_set.__test__ = False  # type: ignore[attr-defined]  # it makes one


def selection(**require_on: Any) -> Selection:
    return Selection.model_validate({"minimize": "size_bytes", "require_on": require_on})


def drop(at_most: float, confidence: float | None = 0.95) -> dict[str, Any]:
    return {"accuracy_drop": {"at_most": at_most, "confidence": confidence}}


def reasons(
    evaluation: Callable[..., Evaluation], asked: Selection, sets: SetComparison, *names: str
) -> dict[str, str]:
    results: dict[str, Any] = {name: evaluation(name, size_bytes=900) for name in ("float", *names)}
    verdict = judge("r", results, asked, sets=sets)
    return {judged.candidate: "" if judged.qualifies else judged.reason for judged in verdict.candidates}


def test_who_breaks_a_bound_elsewhere_fails_with_the_sets_name(evaluation: Callable[..., Evaluation]) -> None:
    asked = selection(noise=drop(0.02))
    found = compare_sets({"noise": test_set(float=10, half=40), "night": test_set(float=10, half=500)}, asked, NAMES)
    own = accuracy_drop(PairedCounts(num_samples=NUM, lost=30, gained=0), 0.95)
    said = reasons(evaluation, asked, found, "half")
    assert said == {"float": "", "half": f"on noise: accuracy_drop 0.0600, upper bound {own.upper:.4f} > 0.0200"}
    assert reasons(evaluation, selection(), found, "half") == {"float": "", "half": ""}  # reported, and no bound


def test_many_candidates_share_the_error_out_on_each_set(evaluation: Callable[..., Evaluation]) -> None:
    wrong = {"float": 0, "one": 5, "two": 5, "three": 5}
    bound = accuracy_drop(PairedCounts(num_samples=NUM, lost=5, gained=0), 0.95).upper + 1e-6
    asked = selection(noise=drop(bound))
    found = compare_sets({"noise": test_set(**wrong)}, asked, NAMES)
    said = reasons(evaluation, asked, found, "one", "two", "three")
    assert all("(Holm, 3 candidates)" in said[name] for name in ("one", "two", "three"))
    alone = asked.model_copy(update={"correction": "none"})
    assert not any(reasons(evaluation, alone, found, "one", "two", "three").values())


def test_pooled_are_all_samples_of_both(evaluation: Callable[..., Evaluation]) -> None:
    parts = {"test": test_set(float=0, half=3), "night": test_set(1500, float=0, half=29)}
    asked = selection(pooled=drop(0.02), night={"recall[cat]": {"at_least": 0.99}})
    found = compare_sets({"night": parts["night"], POOLED: pool(parts)}, asked, NAMES)
    quality = found.sets[POOLED].answers["half"].quality
    assert quality.kind == "classification" and quality.paired == PairedCounts(num_samples=2000, lost=32, gained=0)
    labels, answers = outputs(29, 1500)
    recall = compute_metric("recall[cat]", answers, labels, NAMES)
    said = reasons(evaluation, asked, found, "half")["half"]
    assert f"on night: recall[cat] {recall:.4g} < 0.99" in said and "on pooled: accuracy_drop 0.0160" in said


def test_who_answers_nothing_on_a_set_keeps_no_bound_there(evaluation: Callable[..., Evaluation]) -> None:
    parts = {"test": test_set(float=0, half=0), "night": test_set(failed={"half": "no memory"}, float=0)}
    asked = selection(pooled=drop(0.5), night=drop(0.5))
    found = compare_sets({"night": parts["night"], POOLED: pool(parts)}, asked, NAMES)
    assert reasons(evaluation, asked, found, "half")["half"] == "on night: no memory; on pooled: no memory" or (
        reasons(evaluation, asked, found, "half")["half"] == "on pooled: no memory; on night: no memory"
    )


def test_answers_that_are_no_numbers_fail_a_candidate_and_no_run(evaluation: Callable[..., Evaluation]) -> None:
    broken = test_set(float=0, half=0)
    broken.outputs["half"][3] = np.nan
    asked = selection(noise=drop(0.5))
    found = compare_sets({"noise": broken}, asked, NAMES)
    assert "1 of 500 test samples with no finite number" in reasons(evaluation, asked, found, "half")["half"]


@pytest.mark.slow
def test_a_bound_on_a_set_errs_as_often_as_it_says(evaluation: Callable[..., Evaluation]) -> None:
    """A candidate that loses just the allowed keeps the bound at most one time in twenty, whichever set it is on."""
    random, passed, runs = np.random.default_rng(3), 0, 500
    asked = selection(noise=drop(0.02))
    labels = np.arange(2_000) % 2
    for _ in range(runs):
        lost, gained = random.random(2_000) < 0.03, random.random(2_000) < 0.01
        right = np.eye(2, dtype=np.float32)
        ours = right[np.where(lost, 1 - labels, labels)]
        theirs = right[np.where(gained & ~lost, 1 - labels, labels)]
        found = compare_sets({"noise": SetOutputs("", labels, {"float": theirs, "half": ours})}, asked, NAMES)
        passed += not found.broken(asked).get("half")
    assert passed / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
