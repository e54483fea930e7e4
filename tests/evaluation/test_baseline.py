"""Who is no better than a constant answer has learned nothing, and fails; it errs as seldom as the verdict does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from thresher.errors import DataError
from thresher.evaluation.baseline import Baseline, compare_with_baseline, comparisons
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.judge import judge
from thresher.evaluation.selection import Selection
from thresher.evaluation.statistics import balanced_accuracy
from thresher.evaluation.table import verdict_columns, verdict_rows
from thresher.evaluation.verdict import Verdict
from thresher.modalities.outputs import check_learnable
from thresher.modalities.samples import EncodedSamples, Samples

Evaluate = Callable[..., Evaluation]
TRIALS = 400
QUICK_TRIALS = 120
"""Where each takes thousands of resamples of all samples."""
AT_MOST = 0.085
"""Of 400 trials at a true rate of 5 %, as many go wrong in all but one series of a thousand."""


def classes(labels: Any, names: tuple[str, ...] = ("fine", "fraud")) -> EncodedSamples:
    labels = np.asarray(labels, np.int64)
    return Samples(np.zeros((len(labels), 1), np.float32), labels, names)


def values(labels: Any) -> EncodedSamples:
    labels = np.asarray(labels, np.float64)
    return Samples(np.zeros((len(labels), 1), np.float32), labels)


def of_fraud(probability: Any) -> np.ndarray:
    probability = np.asarray(probability)
    return np.stack([1 - probability, probability], axis=1)


def compare(training: EncodedSamples, test: EncodedSamples, outputs: np.ndarray, **selection: Any) -> Baseline:
    return compare_with_baseline(training, test, {"float": outputs}, Selection.model_validate(selection))


RARE = classes(np.arange(1400) % 50 == 0)
RARE_TEST = classes(np.arange(600) % 50 == 0)


@pytest.mark.oddity("Verdict", "the winner answers the most frequent class to everything", "the run fails and says so")
def test_a_constant_answer_on_rare_fraud_is_no_better_than_the_most_frequent_class() -> None:
    found = compare(RARE, RARE_TEST, of_fraud(np.full(600, 0.02)))
    assert found.fails("float") == (
        "no better than always 'fine', the most frequent class of training: accuracy 0.9800 against 0.9800, "
        "a gain of +0.0000 [-0.0045, +0.0045] on 600 test samples"
    )
    assert found.figures["accuracy"] == 0.98
    assert found.figures["balanced_accuracy"] == 0.5


@pytest.mark.oddity("Verdict", "training has as many of each class, test 2 % of one", "a coin toss does not win")
@pytest.mark.parametrize("frauds", [49, 50, 51])
def test_a_coin_toss_after_a_balanced_training_is_no_better_where_one_class_is_rare(frauds: int) -> None:
    training = classes(np.arange(100) < frauds)
    for outputs in (np.random.default_rng(0).random(600), np.zeros(600)):
        found = compare(training, RARE_TEST, of_fraud(outputs))
        assert found.fails("float").startswith("no better than always 'fine', the most frequent class of t")
        assert found.figures["accuracy"] == 0.98
    assert not compare(training, RARE_TEST, of_fraud(RARE_TEST.labels)).fails("float")


def test_what_ranks_well_is_told_how_to_require_it() -> None:
    found_half = np.where(RARE_TEST.labels == 1, np.arange(600) % 100 == 0, np.arange(600) % 100 == 1)
    found = compare(RARE, RARE_TEST, of_fraud(found_half * 0.9 + 0.01))
    assert "by balanced_accuracy it is better (0.7449 against 0.5000)" in found.fails("float")
    assert "selection.require: {balanced_accuracy: {at_least: 0.5000}}" in found.fails("float")
    required = {"balanced_accuracy": {"at_least": 0.5}}
    assert not compare(RARE, RARE_TEST, of_fraud(found_half * 0.9 + 0.01), require=required).fails("float")


def test_a_bound_on_the_accuracy_keeps_it_the_measure() -> None:
    required = {"balanced_accuracy": {"at_least": 0.5}, "accuracy_drop": {"at_most": 0.1}}
    assert compare(RARE, RARE_TEST, of_fraud(RARE_TEST.labels * 0.9), require=required).metric == "accuracy"


@pytest.mark.oddity("Verdict", "a regression that errs more than the mean of the labels", "the run fails and says so")
def test_a_regression_far_off_is_no_better_than_the_mean() -> None:
    random = np.random.default_rng(0)
    training, test = values(random.normal(50, 29, 350)), values(random.normal(50, 29, 150))
    far_off = compare(training, test, (test.labels + 54)[:, None])
    assert far_off.fails("float").startswith("no better than always 48.84, the mean")
    assert far_off.figures["r2"] == pytest.approx(0, abs=0.05)
    close = compare(training, test, (test.labels + 0.4)[:, None])
    assert not close.fails("float")
    assert close.figures["rmse"] == pytest.approx(29, rel=0.1)


def test_few_test_samples_prove_nothing_of_a_regression() -> None:
    training = values(np.arange(100.0))
    for count, is_better in ((1, False), (9, False), (10, True), (20, True)):
        test = values(np.linspace(0, 99, count))
        found = compare(training, test, test.labels[:, None] + 0.1)
        assert bool(found.fails("float")) != is_better, count
    assert "fewer than 10 test samples, which prove nothing" in compare(
        training, values([3.0]), np.array([[3.0]])
    ).fails("float")


@pytest.mark.parametrize(("count", "is_better"), [(2, False), (4, False), (10, True)])
def test_few_test_samples_of_a_classification(count: int, is_better: bool) -> None:
    test = classes(np.arange(count) % 2)
    assert bool(compare(classes([0, 0, 1]), test, of_fraud(test.labels)).fails("float")) != is_better


def share_better(metric: str, draw: Callable[[np.random.Generator], tuple[EncodedSamples, np.ndarray]]) -> float:
    random, better = np.random.default_rng(7), 0
    trials = TRIALS if metric in ("accuracy", "balanced_accuracy") else QUICK_TRIALS
    for _ in range(trials):
        test, outputs = draw(random)
        training = classes([0, 0, 1]) if test.class_names else values(np.random.default_rng(1).normal(size=10_000))
        better += comparisons(training, test, 0.95)[1][metric](outputs, None).is_better
    return better / trials


@pytest.mark.parametrize("num_samples", [30, 300])
def test_a_coin_is_not_called_better_more_often_than_said(num_samples: int) -> None:
    def coin(random: np.random.Generator) -> tuple[EncodedSamples, np.ndarray]:
        return classes(random.random(num_samples) < 0.5), of_fraud(random.random(num_samples))

    assert share_better("accuracy", coin) <= AT_MOST
    assert share_better("balanced_accuracy", coin) <= AT_MOST
    if num_samples == 30:
        assert share_better("log_loss", coin) <= 0.12


def test_a_guesser_of_rare_fraud_is_not_called_better_more_often_than_said() -> None:
    def guess(random: np.random.Generator) -> tuple[EncodedSamples, np.ndarray]:
        return classes(random.random(600) < 0.02), of_fraud((random.random(600) < 0.02).astype(float))

    assert share_better("accuracy", guess) <= AT_MOST
    assert share_better("balanced_accuracy", guess) <= AT_MOST


def test_what_is_right_six_times_of_ten_is_called_better() -> None:
    def six_of_ten(random: np.random.Generator) -> tuple[EncodedSamples, np.ndarray]:
        labels = random.random(400) < 0.5
        return classes(labels), of_fraud((labels == (random.random(400) < 0.6)).astype(float))

    # By theory: the gain of 0.1 has a standard error of sqrt(0.5 - 0.01) / 20 = 0.035, 2.86 of which are 0.1: it is
    # shown where it is measured above 1.645 of them, which is so in 89 %.
    assert share_better("accuracy", six_of_ten) == pytest.approx(0.89, abs=0.06)
    assert share_better("balanced_accuracy", six_of_ten) > 0.95


@pytest.mark.parametrize(("num_samples", "at_most"), [(15, 0.15), (60, 0.12)])
def test_values_that_err_like_the_mean_are_not_called_better(num_samples: int, at_most: float) -> None:
    def as_wrong(random: np.random.Generator) -> tuple[EncodedSamples, np.ndarray]:
        labels = random.normal(size=num_samples)
        signal = 0.5 * labels + random.normal(size=num_samples) * np.sqrt(0.75)  # the same mean square of errors
        return values(labels), signal[:, None]

    assert share_better("rmse", as_wrong) <= at_most


def test_values_that_explain_a_fifth_are_called_better() -> None:
    def explaining(random: np.random.Generator) -> tuple[EncodedSamples, np.ndarray]:
        signal = random.normal(size=150) * np.sqrt(0.2)
        return values(signal + random.normal(size=150) * np.sqrt(0.8)), signal[:, None]

    assert share_better("rmse", explaining) > 0.85
    assert share_better("mae", explaining) > 0.8


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.95, 0.3), (1.0, 0.1), (0.99, 0.02, 0.5)])
def test_the_interval_of_the_balanced_accuracy_holds(shares: tuple[float, ...]) -> None:
    random, counts = np.random.default_rng(3), np.array([500, 12, 40][: len(shares)])
    right = np.stack([random.binomial(count, share, TRIALS) for count, share in zip(counts, shares, strict=True)], 1)
    found = [balanced_accuracy(each, counts, 0.95) for each in right]
    truth = np.mean(shares)
    assert np.mean([interval.upper < truth for interval in found]) <= AT_MOST
    assert np.mean([interval.lower > truth for interval in found]) <= AT_MOST


def verdict_with(evaluation: Evaluate, outputs: dict[str, np.ndarray], **selection: Any) -> Verdict:
    asked = Selection.model_validate({"minimize": "size_bytes", **selection})
    found = compare_with_baseline(RARE, RARE_TEST, outputs, asked)
    results = {name: evaluation(name, size_bytes=1000 - 100 * place) for place, name in enumerate(outputs)}
    return judge("fraud", dict(results), asked, baseline=found)


EXACT, CONSTANT = of_fraud(RARE_TEST.labels * 0.98), of_fraud(np.full(600, 0.02))


def test_a_run_whose_float_model_has_learned_nothing_has_no_winner(evaluation: Evaluate) -> None:
    verdict = verdict_with(evaluation, {"float": CONSTANT, "int8": CONSTANT, "lucky": EXACT})
    assert verdict.winner is None and verdict.nothing_learned
    assert verdict.of("float").reason.startswith("no better than always 'fine'")
    assert verdict.of("int8").reason.startswith("no better than always 'fine'")
    assert verdict.of("lucky").reason == "float is no better than the baseline"
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_a_candidate_that_has_lost_all_cannot_win(evaluation: Evaluate) -> None:
    verdict = verdict_with(evaluation, {"float": EXACT, "half": EXACT, "ruined": CONSTANT})
    assert verdict.winner == "half" and not verdict.nothing_learned
    assert verdict.of("ruined").reason.startswith("no better than always 'fine'")


def test_a_recipe_may_allow_it_and_is_told_nevertheless(evaluation: Evaluate) -> None:
    verdict = verdict_with(evaluation, {"float": CONSTANT, "int8": CONSTANT}, allow_no_better_than_baseline=True)
    assert verdict.winner == "int8"
    assert "; no better than always 'fine'" in verdict.of("int8").reason


def test_the_baseline_is_a_row_of_the_table(evaluation: Evaluate) -> None:
    verdict = verdict_with(evaluation, {"float": EXACT})
    row = dict(zip(verdict_columns(verdict), verdict_rows(verdict)[-1], strict=True))
    assert row["candidate"] == "(baseline)"
    assert row["accuracy"] == "0.9800"
    assert row["drop [interval]"].startswith("+0.0200 [+0.01")
    assert (row["size"], row["verdict"]) == ("-", "-")
    assert row["reason"].startswith("always 'fine', the most frequent class of training")


@pytest.mark.oddity("Verdict", "all labels are alike", "refused before training")
def test_one_class_and_one_number_are_nothing_to_learn() -> None:
    with pytest.raises(DataError, match="One class is nothing to learn: all 300 training samples are 'fine'"):
        check_learnable(classes(np.zeros(300), ("fine",)))
    with pytest.raises(DataError, match="One class is nothing to learn: all 3 training samples are 'fraud'"):
        check_learnable(classes([1, 1, 1]))
    with pytest.raises(DataError, match=r"the labels of all 2 training samples are 3\.5"):
        check_learnable(values([3.5, 3.5]))
    check_learnable(classes([0, 1]))
    check_learnable(values([1.7e9, 1.7e9 + 1e-6]))
