"""Boosted trees: the ONNX file answers as scikit-learn does, whatever the columns and labels are like."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.random import default_rng
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from thresher.errors import DataError
from thresher.evaluation.cost import measure_cost
from thresher.evaluation.runtime import open_session, predict
from thresher.events import Notice, subscribe
from thresher.modalities.outputs import output_of
from thresher.modalities.samples import EncodedSamples, Samples
from thresher.modalities.tabular.model_input import TabularInput
from thresher.models import ModelChoice
from thresher.models.boosted_trees.config import BoostedTrees
from thresher.models.boosted_trees.fit import fit_boosted_trees
from thresher.models.fitted import FitData, Fitted
from thresher.training import Training
from thresher.training.fitting import fit

NUM_TRAINING = 1200


def draw(cardinalities: tuple[int, ...], num_classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of three numbers and of categories, none of them code 0, and what is to be learned from them."""
    random = default_rng(seed)
    codes = [random.integers(1, count, size=(1600, 1)) for count in cardinalities]
    rows = np.concatenate([random.normal(size=(1600, 3)), *codes], axis=1).astype(np.float32)
    value = rows[:, 0] - rows[:, 1] ** 2 + sum(np.sin(7.0 * rows[:, 3 + column]) for column in range(len(codes)))
    if not num_classes:
        return rows, value.astype(np.float64)
    return rows, np.digitize(value, np.quantile(value, np.arange(1, num_classes) / num_classes)).astype(np.int64)


def halves(rows: np.ndarray, labels: np.ndarray, num_classes: int) -> tuple[EncodedSamples, EncodedSamples]:
    names = tuple(f"class {number}" for number in range(num_classes))
    first, last = slice(NUM_TRAINING), slice(NUM_TRAINING, None)
    return Samples(rows[first], labels[first], names), Samples(rows[last], labels[last], names)


def data_of(rows: np.ndarray, labels: np.ndarray, cardinalities: tuple[int, ...], num_classes: int) -> FitData:
    training, validation = halves(rows, labels, num_classes)
    given = TabularInput(num_numeric=3, cardinalities=cardinalities)
    return FitData(given, output_of(training), training, validation, seed=3, threads=1)


def refit(config: BoostedTrees, data: FitData, kept: int) -> Any:
    """Return scikit-learn's own model after the iterations that were kept, its validation split the same."""
    columns = [3 + column for column, count in enumerate(data.input.cardinalities) if count - 1 <= config.max_bins]
    own = HistGradientBoostingClassifier if data.training_samples.class_names else HistGradientBoostingRegressor
    settings = config.model_dump(exclude={"kind"}) | {"max_iter": kept, "early_stopping": False, "random_state": 3}
    model = own(**settings, categorical_features=columns or None)
    labels = data.training_samples.labels
    if not data.training_samples.class_names:
        labels = (labels - data.output.mean) / data.output.std
    return model.fit(data.training_samples.inputs, labels)


def answers_of(fitted: Fitted, rows: np.ndarray, data: FitData) -> np.ndarray:
    return predict(open_session(fitted.onnx_file, 1), rows, data.input)


@pytest.mark.parametrize(
    ("num_classes", "cardinalities"),
    [(2, (5, 60)), (3, (256,)), (4, ()), (2, (400, 3))],
    ids=["two classes", "as many categories as there may be", "numbers alone", "more categories than there may be"],
)
def test_the_file_answers_as_scikit_learn_does(num_classes: int, cardinalities: tuple[int, ...]) -> None:
    config = BoostedTrees(max_iter=25, n_iter_no_change=3)
    data = data_of(*draw(cardinalities, num_classes), cardinalities, num_classes)
    fitted = fit_boosted_trees(config, data)
    rows = draw(cardinalities, num_classes, seed=9)[0]
    for column in range(len(cardinalities)):  # a category that training did not see, and others that it did
        rows[column::5, 3 + column] = 0
    expected = refit(config, data, fitted.kept).predict_proba(rows)
    np.testing.assert_allclose(answers_of(fitted, rows, data), expected, atol=1e-5)


def test_rows_at_a_threshold_go_the_same_way() -> None:
    """Thresholds are float64 in scikit-learn and float32 in the file: each is rounded down, and not to the nearest."""
    random = default_rng(1)
    values = (1.0 + random.integers(0, 40, size=(1600, 3)) * np.spacing(np.float32(1.0))).astype(np.float32)
    labels = (values[:, 0] > np.median(values[:, 0])).astype(np.int64) ^ (random.random(1600) < 0.1)
    data = data_of(values, labels.astype(np.int64), (), 2)
    config = BoostedTrees(max_iter=10)
    fitted = fit_boosted_trees(config, data)
    expected = refit(config, data, fitted.kept).predict_proba(values)
    np.testing.assert_allclose(answers_of(fitted, values, data), expected, atol=1e-5)


def test_values_come_in_the_labels_own_unit() -> None:
    rows, values = draw((6,), 0)
    data = data_of(rows, 1.7e9 + 40.0 * values, (6,), 0)
    config = BoostedTrees(max_iter=40)
    fitted = fit_boosted_trees(config, data)
    model = refit(config, data, fitted.kept)
    expected = model.predict(rows) * data.output.std + data.output.mean
    answers = answers_of(fitted, rows, data)
    assert answers.dtype == np.float64
    np.testing.assert_allclose(answers[:, 0] - 1.7e9, expected - 1.7e9, atol=1e-3)
    errors = answers[NUM_TRAINING:, 0] - data.validation_samples.labels
    assert fitted.validation_metrics[fitted.kept - 1] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-5)
    assert fitted.validation_losses[fitted.kept - 1] == pytest.approx((errors**2).mean() / data.output.std**2, rel=1e-4)


def test_a_class_without_training_samples_is_never_answered() -> None:
    rows, labels = draw((5,), 4)
    labels[:NUM_TRAINING][labels[:NUM_TRAINING] == 2] = 1
    for absent in ((2,), (2, 3)):
        labels[:NUM_TRAINING][np.isin(labels[:NUM_TRAINING], absent)] = 0
        data = data_of(rows, labels, (5,), 4)
        fitted = fit_boosted_trees(BoostedTrees(max_iter=8), data)
        answers = answers_of(fitted, rows, data)
        assert answers[:, list(absent)].max() < 1e-30
        np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
        accuracy = (answers[NUM_TRAINING:].argmax(axis=1) == labels[NUM_TRAINING:]).mean()
        assert fitted.validation_metrics[fitted.kept - 1] == pytest.approx(accuracy)


def test_one_class_is_refused() -> None:
    rows, labels = draw((), 2)
    labels[:NUM_TRAINING] = 1
    with pytest.raises(DataError, match="one class, 'class 1'"):
        fit_boosted_trees(BoostedTrees(), data_of(rows, labels, (), 2))


def test_labels_that_nothing_tells_apart_give_trees_without_splits() -> None:
    rows, labels = draw((), 2)
    data = data_of(np.zeros_like(rows), labels, (), 2)
    fitted = fit_boosted_trees(BoostedTrees(max_iter=3), data)
    share = data.training_samples.labels.mean()
    np.testing.assert_allclose(answers_of(fitted, rows, data)[:, 1], share, atol=1e-5)


def test_the_iterations_after_the_best_are_cut_off_and_the_parameters_counted() -> None:
    config = BoostedTrees(max_iter=60, n_iter_no_change=60, learning_rate=0.5)
    data = data_of(*draw((5,), 2), (5,), 2)
    fitted = fit_boosted_trees(config, data)
    assert fitted.kept == 1 + np.argmin(fitted.validation_losses) < 60 == len(fitted.validation_losses)
    outputs = answers_of(fitted, data.validation_samples.inputs, data)
    loss = -np.log(outputs[np.arange(len(outputs)), data.validation_samples.labels]).mean()
    assert fitted.validation_losses[fitted.kept - 1] == pytest.approx(loss, rel=1e-4)
    leaves = int(fitted.summary.split("with ")[1].split()[0].replace(",", ""))
    cost = measure_cost(fitted.onnx_file, data.input)
    assert (cost.num_parameters, cost.macs) == (2 * leaves - fitted.kept, 0)


def test_columns_of_too_many_categories_are_told() -> None:
    said: list[Any] = []
    unsubscribe = subscribe(said.append)
    try:
        fit_boosted_trees(BoostedTrees(max_iter=1), data_of(*draw((400, 3), 2), (400, 3), 2))
    finally:
        unsubscribe()
    assert any(
        isinstance(each, Notice) and "1 of 2 columns of categories have more than 255" in each.text for each in said
    )


def test_a_fit_has_a_history_and_weighs_classes() -> None:
    rows, labels = draw((), 2)
    labels = (labels & (default_rng(5).random(len(labels)) < 0.3)).astype(np.int64)
    samples, given = halves(rows, labels, 2), TabularInput(num_numeric=3, cardinalities=())
    model = ModelChoice.model_validate({"kind": "boosted_trees", "max_iter": 15})
    shares = []
    for weights in (None, "balanced"):
        onnx_file, history = fit(model, given, samples, Training(class_weights=weights), "float")
        assert history.kept.validation_loss == min(epoch.validation_loss for epoch in history.epochs)
        answers = predict(open_session(onnx_file, 1), rows, given)
        shares.append(answers.argmax(axis=1).mean())
    assert shares[0] < labels.mean() < shares[1]
    assert fit(model, given, samples, Training(class_weights="balanced"), "float")[0] == onnx_file
