"""Boosted trees, fitted and exported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thresher.adapters.scikit_learn import known_categories, read_baseline, read_trees
from thresher.errors import DataError, ParityError
from thresher.events import Notice, emit
from thresher.machine import require_memory, usable_cores
from thresher.modalities.outputs import ClassOutput, ValueOutput
from thresher.modalities.samples import EncodedSamples
from thresher.modalities.tabular.model_input import TabularInput
from thresher.models.boosted_trees.config import BoostedTrees
from thresher.models.boosted_trees.onnx_trees import write_trees
from thresher.models.fitted import FitData, Fitted

PARITY_TOLERANCE = 1e-5
"""The largest difference between the answers of scikit-learn and of the file: in probabilities, or in standard
deviations of the labels."""
PARITY_SAMPLES = 256
NUMBERS_A_THREAD = 5_000_000
"""Numbers of the training split from which on a further thread is worth its place. scikit-learn's threads wait for each
other at every split by running idle: on a busy machine, two of them took 20 times as long as one of 150,000 numbers."""


@dataclass(frozen=True)
class _Staged:
    """What the trees give for the validation samples, iteration by iteration.

    Attributes:
        metrics: accuracies, or RMSEs in the labels' unit.
        answers: of the iterations that are kept, for the first samples: probabilities [P, K] of the classes that were
            fitted, or standardized values [P, 1].
    """

    metrics: tuple[float, ...]
    answers: np.ndarray


def fit_boosted_trees(config: BoostedTrees, data: FitData) -> Fitted:
    """Return gradient-boosted trees that are fitted to the training samples.

    Source: Friedman, "Greedy Function Approximation: A Gradient Boosting Machine", 2001, on histograms as in Ke et al.,
    "LightGBM", NeurIPS 2017; scikit-learn's HistGradientBoosting. Other than there, the iterations after the best one
    are cut off.

    Raises:
        DataError: all training samples are of one class.
        ParityError: the file answers otherwise than scikit-learn.
    """
    from threadpoolctl import threadpool_limits

    model, classes = _build(config, data)
    learned, judged = data.training_samples, _of_classes(data.validation_samples, classes)
    num_numbers = learned.inputs.size + judged.inputs.size
    require_memory(num_numbers * 9, "the training split as numbers and bins", "fewer rows, or another model.")
    threads = data.threads or max(1, min(usable_cores(), learned.inputs.size // NUMBERS_A_THREAD))
    with threadpool_limits(threads, user_api="openmp"):
        model.fit(
            learned.inputs,
            _labels(learned, data),
            X_val=judged.inputs,
            y_val=_labels(judged, data),
        )
        # Scores are losses with their sign turned, of which the first is without any tree; of values they are halved.
        scale = -2.0 if isinstance(data.output, ValueOutput) else -1.0
        losses, own_losses = (
            scale * np.asarray(scores)[1:] for scores in (model.validation_score_, model.train_score_)
        )
        kept = int(losses.argmin()) + 1
        staged = _stages(model, data, classes, kept)
    trees = read_trees(model)[:kept]
    written = (read_baseline(model), classes, _codes(config, data.input), known_categories(model))
    onnx_file = write_trees(trees, *written, data.input, data.output)
    _check_parity(onnx_file, staged.answers, classes, data)
    leaves = sum(int(tree.is_leaf.sum()) for iteration in trees for tree in iteration)
    return Fitted(
        onnx_file=onnx_file,
        training_losses=tuple(own_losses.tolist()),
        validation_losses=tuple(losses.tolist()),
        validation_metrics=staged.metrics,
        kept=kept,
        summary=f"{kept:,} of {len(losses):,} iterations kept, with {leaves:,} leaves",
    )


def _build(config: BoostedTrees, data: FitData) -> tuple[Any, tuple[int, ...]]:
    """Return the unfitted model, and the classes that the training samples have; none in a regression."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    codes = _codes(config, data.input)
    settings = config.model_dump(exclude={"kind"}) | {
        "categorical_features": sorted(codes) or None,
        "early_stopping": True,
        "tol": 0.0,
        "random_state": data.seed % 2**32,
    }
    if isinstance(data.output, ValueOutput):
        return HistGradientBoostingRegressor(**settings), ()
    classes = tuple(np.unique(data.training_samples.labels).tolist())
    if len(classes) < 2:
        only = data.training_samples.class_names[classes[0]]
        raise DataError(
            f"All training samples that are left beside validation are of one class, '{only}'. Fix: more samples, or "
            "another data.validation."
        )
    weights = "balanced" if data.balances_classes else None
    return HistGradientBoostingClassifier(**settings, class_weight=weights), classes


def _codes(config: BoostedTrees, given: Any) -> dict[int, int]:
    """Return column -> number of its codes, of those columns that are split by sets of categories."""
    assert isinstance(given, TabularInput)
    counts = dict(enumerate(given.cardinalities, given.num_numeric))
    few = {column: count for column, count in counts.items() if count - 1 <= config.max_bins}
    if len(few) < len(counts):
        emit(
            Notice(
                f"{len(counts) - len(few)} of {len(counts)} columns of categories have more than {config.max_bins} of "
                "them (model.max_bins): the trees split these by their codes, as numbers"
            )
        )
    return few


def _of_classes(samples: EncodedSamples, classes: tuple[int, ...]) -> EncodedSamples:
    """Return the ``samples`` that are of ``classes``: of another class, no loss can be computed."""
    return samples.take(np.isin(samples.labels, classes)) if classes else samples


def _labels(samples: EncodedSamples, data: FitData) -> np.ndarray:
    if isinstance(data.output, ClassOutput):
        return samples.labels
    return (samples.labels - data.output.mean) / data.output.std


def _stages(model: Any, data: FitData, classes: tuple[int, ...], kept: int) -> _Staged:
    metrics, answers = [], np.empty(0)
    samples = data.validation_samples
    for number, given in enumerate(_staged(model, samples.inputs), 1):
        if isinstance(data.output, ValueOutput):
            errors = given[:, 0] * data.output.std + data.output.mean - samples.labels
            metrics.append(float(np.sqrt((errors**2).mean())))
        else:
            metrics.append(float((np.array(classes)[given.argmax(1)] == samples.labels).mean()))
        if number == kept:
            answers = given[:PARITY_SAMPLES]
    return _Staged(tuple(metrics), answers)


def _staged(model: Any, inputs: np.ndarray) -> Any:
    if hasattr(model, "staged_predict_proba"):
        return model.staged_predict_proba(inputs)
    return (values[:, None] for values in model.staged_predict(inputs))


def _check_parity(onnx_file: bytes, expected: np.ndarray, classes: tuple[int, ...], data: FitData) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {data.input.name: data.validation_samples.inputs[:PARITY_SAMPLES]})
    got = got[:, list(classes)] if classes else (got - data.output.mean) / data.output.std  # type: ignore[union-attr]
    apart = float(np.abs(got - expected).max())
    if not apart <= PARITY_TOLERANCE:
        raise ParityError(
            f"The ONNX file of the trees answers otherwise than scikit-learn by up to {apart:.2e} on {len(expected)} "
            f"samples; at most {PARITY_TOLERANCE:.0e} is allowed. Please report it with the recipe."
        )
