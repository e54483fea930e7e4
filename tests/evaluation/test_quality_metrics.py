"""Metrics of quality are scikit-learn's, on the whole split and, by weights, on each of many resamples at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from thresher.errors import CompressionError, DataError
from thresher.evaluation.metrics import find_metric
from thresher.evaluation.own_metrics import measure_own_metric, measure_own_metrics
from thresher.kinds.built_in import METRICS
from thresher.kinds.metric_names import arguments_of, require_defined
from thresher.kinds.record import KindError

NUM, NAMES = 240, ("ham", "spam", "eggs")
Sk = Callable[..., float]


def _of_class(score: Sk, label: int = 1) -> Sk:
    return lambda y, p, w: score(y, p.argmax(1), labels=[label], average="macro", sample_weight=w, zero_division=0)


def _mean(score: Sk, average: str) -> Sk:
    return lambda y, p, w: score(y, p.argmax(1), average=average, sample_weight=w, zero_division=0)


def _one_to_rest(score: Sk, labels: tuple[int, ...] = (0, 1, 2)) -> Sk:
    return lambda y, p, w: np.mean([score(y == each, p[:, each], sample_weight=w) for each in labels])


CLASSES: dict[str, Sk] = {
    "accuracy": lambda y, p, w: sk.accuracy_score(y, p.argmax(1), sample_weight=w),
    "balanced_accuracy": lambda y, p, w: sk.balanced_accuracy_score(y, p.argmax(1), sample_weight=w),
    "precision[spam]": _of_class(sk.precision_score),
    "recall[spam]": _of_class(sk.recall_score),
    "f1[spam]": _of_class(sk.f1_score),
    "precision_macro": _mean(sk.precision_score, "macro"),
    "recall_macro": _mean(sk.recall_score, "macro"),
    "f1_macro": _mean(sk.f1_score, "macro"),
    "precision_weighted": _mean(sk.precision_score, "weighted"),
    "recall_weighted": _mean(sk.recall_score, "weighted"),
    "f1_weighted": _mean(sk.f1_score, "weighted"),
    "cost[spam:5:2]": lambda y, p, w: np.average(
        5 * ((y == 1) & (p.argmax(1) != 1)) + 2 * ((y != 1) & (p.argmax(1) == 1)), weights=w
    ),
    "mcc": lambda y, p, w: sk.matthews_corrcoef(y, p.argmax(1), sample_weight=w),
    "log_loss": lambda y, p, w: sk.log_loss(y, p, sample_weight=w, labels=[0, 1, 2]),
    "brier": lambda y, p, w: sk.brier_score_loss(y, p, sample_weight=w, labels=[0, 1, 2]),
    "roc_auc": _one_to_rest(sk.roc_auc_score),
    "roc_auc[spam]": _one_to_rest(sk.roc_auc_score, (1,)),
    "average_precision": _one_to_rest(sk.average_precision_score),
    "average_precision[spam]": _one_to_rest(sk.average_precision_score, (1,)),
    "top_k_accuracy[2]": lambda y, p, w: sk.top_k_accuracy_score(y, p, k=2, sample_weight=w, labels=[0, 1, 2]),
}
VALUES: dict[str, Sk] = {
    "rmse": lambda y, p, w: sk.root_mean_squared_error(y, p, sample_weight=w),
    "mae": lambda y, p, w: sk.mean_absolute_error(y, p, sample_weight=w),
    "r2": lambda y, p, w: sk.r2_score(y, p, sample_weight=w),
    "mape": lambda y, p, w: sk.mean_absolute_percentage_error(y, p, sample_weight=w),
    "rmsle": lambda y, p, w: sk.root_mean_squared_log_error(y, p, sample_weight=w),
    "median_absolute_error": lambda y, p, w: sk.median_absolute_error(np.repeat(y, w), np.repeat(p, w)),
    "pinball[0.9]": lambda y, p, w: sk.mean_pinball_loss(y, p, sample_weight=w, alpha=0.9),
}


def classes(num: int = NUM, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels of three classes, one of them rare, and the probabilities of two models, with many ties."""
    random = np.random.default_rng(seed)
    labels = random.choice(3, num, p=[0.7, 0.12, 0.18])
    found = []
    for noise in (0.9, 1.1):
        logits = 1.5 * np.eye(3)[labels] + noise * random.normal(size=(num, 3))
        rounded = np.round(np.exp(logits), 1) + 0.05
        found.append((rounded / rounded.sum(axis=1, keepdims=True)).astype(np.float32))
    return labels, *found


def values(num: int = NUM) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    labels = random.gamma(3, 10, num) + 1
    return labels, *((labels * random.normal(1, noise, num))[:, None].clip(0) for noise in (0.1, 0.12))


CASES = [*((name, score, classes) for name, score in CLASSES.items()),
         *((name, score, values) for name, score in VALUES.items())]  # fmt: skip


@pytest.mark.parametrize(("name", "score", "make"), CASES, ids=[name for name, _, _ in CASES])
def test_each_is_scikit_learns_on_the_split_and_on_resamples(name: str, score: Sk, make: Any) -> None:
    kind, (labels, outputs, other) = find_metric(name), make()
    answers = outputs.argmax(1) if kind.judges == "classes" else outputs
    squeezed = outputs[:, 0] if make is values else outputs
    assert kind.load()(answers, labels, *arguments_of(kind, NAMES)) == pytest.approx(
        score(labels, squeezed, np.ones(NUM, int))
    )
    random = np.random.default_rng(7)
    counts = random.multinomial(NUM, np.full(NUM, 1 / NUM), 20)
    many = kind.load("vectorized")(answers, labels, *arguments_of(kind, NAMES))(counts.astype(np.float64))
    assert many == pytest.approx([score(labels, squeezed, count) for count in counts], rel=1e-5)
    own = measure_own_metrics([name], outputs, other, labels, NAMES)[name]
    assert own.loss is not None and own.reference != own.value
    sign = 1 if kind.smaller_is_better else -1
    assert own.loss.value == pytest.approx(sign * (own.value - own.reference))
    for interval in (own.interval(0.95), own.loss_interval(0.95)):
        assert interval is not None and interval.lower < interval.value < interval.upper and not interval.proves_nothing


def test_every_metric_of_quality_has_its_peer_here() -> None:
    ours = {kind.pattern.partition("[")[0] for kind in METRICS if kind.is_computed}
    assert ours - {name.partition("[")[0] for name in (*CLASSES, *VALUES)} == {"expected_calibration_error"}


def test_the_calibration_error_is_that_of_guo_et_al() -> None:
    # Two bins: 60 answers at 0.8 of which 45 are right, 40 at 0.6 of which 30 are.
    sure = np.repeat([0.8, 0.6], [60, 40])
    outputs = np.stack([sure, 1 - sure], axis=1)
    labels = np.concatenate([np.arange(60) >= 45, np.arange(40) >= 30]).astype(np.int64)
    kind = find_metric("expected_calibration_error")
    assert kind.load()(outputs, labels) == pytest.approx(0.6 * 0.05 + 0.4 * 0.15)
    counts = np.zeros((1, 100))
    counts[0, :50] = 2  # 40 right ones at 0.8 and 5 more, then 5 wrong: all at 0.8
    assert kind.load("vectorized")(outputs, labels)(counts)[0] == pytest.approx(abs(45 / 50 - 0.8))


def test_a_share_has_an_exact_interval_and_a_paired_loss() -> None:
    labels = np.repeat([0, 1], [300, 60])
    right, lost = np.eye(2)[labels], np.eye(2)[labels]
    lost[[300, 301, 0]] = 1 - lost[[300, 301, 0]]  # two of the rare class, one of the other
    recall = measure_own_metrics(["recall[spam]"], right, right, labels, NAMES[:2])["recall[spam]"]
    sure = recall.interval(0.95)
    # 60 of 60: at 0.95 the rate is above 0.05 ** (1 / 60), where a bootstrap has no width.
    assert (sure.value, sure.lower, sure.proves_nothing) == (1.0, pytest.approx(0.05 ** (1 / 60)), False)
    own = measure_own_metrics(["recall[spam]"], lost, right, labels, NAMES[:2])["recall[spam]"]
    assert own.paired is not None and (own.paired.num_samples, own.paired.lost, own.paired.gained) == (60, 2, 0)
    loss = own.loss_interval(0.95)
    assert loss is not None and loss.value == pytest.approx(2 / 60) and loss.lower < 0 < loss.upper


@pytest.mark.parametrize("name", ["f1[spam]", "recall[spam]", "roc_auc"])
def test_a_bound_at_95_percent_is_wrong_one_time_in_twenty(name: str) -> None:
    labels, outputs, other = classes(50_000, seed=1)
    kind = find_metric(name)
    truth = measure_own_metric(kind.__class__(**{**vars(kind), "resamples": 1}), outputs, other, labels, NAMES)
    random, wrong = np.random.default_rng(2), np.zeros(4)
    for _ in range(80):
        drawn = random.integers(0, len(labels), 300)
        few = kind.__class__(**{**vars(kind), "resamples": 250})
        own = measure_own_metric(few, outputs[drawn], other[drawn], labels[drawn], NAMES)
        value, loss = own.interval(0.95), own.loss_interval(0.95)
        assert truth.loss is not None and loss is not None
        true_loss = truth.loss.value
        wrong += [value.lower > truth.value, value.upper < truth.value, loss.lower > true_loss, loss.upper < true_loss]
    # 80 trials of 5 %: 9 or fewer of them in 99 %; two more, since percentile intervals are a little narrow.
    assert wrong.max() <= 11


@pytest.mark.parametrize(
    ("name", "labels", "why"),
    [
        ("recall[eggs]", [0, 1], "the test split: there is no sample of class 'eggs'. Fix: "),
        ("roc_auc[spam]", [1, 1], "all samples are of class 'spam'"),
        ("roc_auc", [0, 1], "there is no sample of class 'eggs'"),
        ("f1_macro", [0, 0], "there is no sample of class 'spam' and 1 more"),
        ("mcc", [2, 2], "all samples are of class 'eggs'"),
        ("top_k_accuracy[3]", [0, 1, 2], "with 3 classes every model is right in 3 guesses"),
        ("recall[spma]", [0, 1], "there is no class 'spma'. Did you mean 'spam'?"),
    ],
)
def test_labels_that_give_no_value_are_told(name: str, labels: list[int], why: str) -> None:
    with pytest.raises(DataError) as error:
        require_defined(map(find_metric, [name]), np.array(labels), NAMES)
    assert why in str(error.value) and name in str(error.value)


def test_of_two_classes_an_average_precision_names_one() -> None:
    with pytest.raises(DataError, match=r"Fix: average_precision\[spam\], or \[ham\]"):
        require_defined(map(find_metric, ["average_precision"]), np.array([0, 1]), NAMES[:2])
    require_defined(map(find_metric, ["average_precision[spam]", "roc_auc"]), np.array([0, 1]), NAMES[:2])


@pytest.mark.parametrize(
    ("name", "label", "why"),
    [("mape", 0.0, "1 label is 0, and no error is a share of that"), ("rmsle", -1.0, "1 label is -1 or less")],
)
def test_labels_of_a_regression_that_give_no_value_are_told(name: str, label: float, why: str) -> None:
    with pytest.raises(DataError, match=why):
        require_defined(map(find_metric, [name]), np.array([label, 5.0]), ())


def test_answers_without_a_logarithm_are_the_models_fault() -> None:
    labels = np.array([1.0, 2.0])
    with pytest.raises(
        CompressionError, match=r"rmsle: the model answers -1\.5, and there is no logarithm of 1 \+ that"
    ):
        measure_own_metrics(["rmsle"], np.array([[1.0], [-1.5]]), labels[:, None], labels)


def test_a_class_that_is_never_answered_has_a_precision_of_0_that_proves_nothing() -> None:
    labels, outputs = np.array([0, 1] * 50), np.eye(2)[np.zeros(100, int)]
    own = measure_own_metrics(["precision[spam]"], outputs, np.eye(2)[labels], labels, NAMES[:2])["precision[spam]"]
    assert (own.value, own.interval(0.95).unproven) == (0.0, "rests on no answer")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("recall", r"'recall' does not say of what\. Fix: recall\[CLASS\], a class"),
        ("accuracy[spam]", r"'accuracy' takes nothing in brackets\. Fix: accuracy"),
        ("pinball[90]", r"does not name a number between 0 and 1\. Fix: pinball\[QUANTILE\]"),
        ("pinball[nan]", "does not name a number between 0 and 1"),
        ("top_k_accuracy[0]", "does not name a whole number from 1 on"),
        ("recall[]", "does not say of what"),
    ],
)
def test_wrong_brackets_are_told(name: str, what: str) -> None:
    with pytest.raises(KindError, match=what):
        find_metric(name)


def test_a_class_may_be_called_anything() -> None:
    for label in ("a]", "x[y]", "b_drop", "c_batch32", " ", "é"):
        assert find_metric(f"recall[{label}]").argument == label
        loss = find_metric(f"recall[{label}]_drop")
        assert (loss.argument, loss.smaller_is_better, loss.is_computed) == (label, True, False)
