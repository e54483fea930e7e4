"""Models that are no networks: fitted as a whole, each of their steps told as an epoch."""

from __future__ import annotations

import time

import numpy as np
import onnxruntime

from thresher.events import Step, emit
from thresher.kinds.record import ModelKind
from thresher.kinds.registry import kind_of
from thresher.modalities.model_input import ModelInput
from thresher.modalities.outputs import AnyOutput, ValueOutput, output_of
from thresher.modalities.samples import EncodedSamples
from thresher.models import ModelChoice
from thresher.models.fitted import FitData, Fitted
from thresher.training import Training
from thresher.training.checkpointer import report_epoch
from thresher.training.history import Epoch, TrainingHistory
from thresher.training.validation import METRIC

FOLDS = 5
"""Parts that the training samples are divided into, of which each is answered by a model that the others fitted."""
LEAST_PROBABILITY = 1e-7
CURVE_POINTS = 20
"""Steps of a fit that are told while it goes on; the history has all."""


def fit(
    model: ModelChoice, given: ModelInput, samples: tuple[EncodedSamples, EncodedSamples], training: Training, name: str
) -> tuple[bytes, TrainingHistory]:
    """Return the ONNX file of the fitted model, and its history with a step in the place of each epoch.

    Args:
        given: what the encoder makes.
        samples: training and validation.
        training: its seed, its class weights and its threads count.
        name: what the fit is called in progress reports and metrics.

    Raises:
        DataError: samples that nothing can be learned from.
        ParityError: the file answers otherwise than the model.
    """
    emit(Step(f"{model.root.kind}: fitted to {len(samples[0]):,} samples"))
    began, output = time.monotonic(), output_of(samples[0])
    fitted = _fit(model, given, output, samples, training)
    emit(Step(f"{model.root.kind}: {fitted.summary}"))
    history = _history(fitted, METRIC[output.kind], time.monotonic() - began)
    _report(history, name)
    return fitted.onnx_file, history


def answer_out_of_fold(
    model: ModelChoice, given: ModelInput, samples: tuple[EncodedSamples, EncodedSamples], training: Training
) -> np.ndarray:
    """Return what a student may learn of each training sample, float32 [N, K]: logits, or standardized values.

    A model knows its own training samples too well to teach by them. So each is answered by one that did not learn from
    it: the samples are divided into `FOLDS` parts, each with its share of every class (of values: of each size), and
    every part is answered by the model that the others fitted. When to stop, the validation samples say each time.

    Args:
        samples: training and validation.

    Raises:
        DataError: samples that nothing can be learned from.
    """
    learned, judged = samples
    output, answers = output_of(learned), np.empty(0)
    folds = _folds(learned.labels, training.seed)
    for fold in range(min(FOLDS, len(learned))):
        emit(Step(f"{model.root.kind}: part {fold + 1} of {FOLDS}, answered by a model of the others"))
        others = _fit(model, given, output, (learned.take(folds != fold), judged), training)
        session = onnxruntime.InferenceSession(others.onnx_file, providers=["CPUExecutionProvider"])
        (outputs,) = session.run(None, {given.name: learned.inputs[folds == fold]})
        if not len(answers):
            answers = np.empty((len(learned), outputs.shape[1]), np.float32)
        if isinstance(output, ValueOutput):
            answers[folds == fold] = (outputs - output.mean) / output.std
        else:
            answers[folds == fold] = np.log(np.maximum(outputs, LEAST_PROBABILITY))
    return answers


def _folds(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return the part of each sample, drawn by ``seed``: the sorted labels are dealt out in turns."""
    folds = np.empty(len(labels), np.int64)
    folds[np.lexsort((np.random.default_rng(seed).random(len(labels)), labels))] = np.arange(len(labels)) % FOLDS
    return folds


def _fit(
    model: ModelChoice,
    given: ModelInput,
    output: AnyOutput,
    samples: tuple[EncodedSamples, EncodedSamples],
    training: Training,
) -> Fitted:
    threads = training.execution.threads
    data = FitData(
        given,
        output,
        *samples,
        training.seed,
        balances_classes=training.class_weights == "balanced",
        threads=None if threads == "auto" else threads,
    )
    fitted: Fitted = kind_of(ModelKind, model.root).load()(model.root, data)
    return fitted


def _history(fitted: Fitted, metric: str, seconds: float) -> TrainingHistory:
    count = len(fitted.validation_losses)
    steps = zip(fitted.training_losses, fitted.validation_losses, fitted.validation_metrics, strict=True)
    epochs = tuple(
        Epoch(
            epoch=number,
            step=number,
            training_loss=training_loss,
            validation_loss=validation_loss,
            validation_metric=value,
            seconds=seconds / count,
        )
        for number, (training_loss, validation_loss, value) in enumerate(steps, 1)
    )
    return TrainingHistory(device="cpu", metric=metric, epochs=epochs, best_epoch=fitted.kept)


def _report(history: TrainingHistory, name: str) -> None:
    """Tell observers of a few steps, the kept one and the last among them."""
    count = len(history.epochs)
    told = np.linspace(1, count, min(count, CURVE_POINTS)).astype(int)
    for number in sorted({*told.tolist(), history.best_epoch}):
        report_epoch(history.epochs[number - 1], name, history.metric, count)
