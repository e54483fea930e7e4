"""Models that are no networks: fitted as a whole, each of their steps told as an epoch."""

from __future__ import annotations

import time

import numpy as np

from thresher.events import Step, emit
from thresher.kinds.record import ModelKind
from thresher.kinds.registry import kind_of
from thresher.modalities.model_input import ModelInput
from thresher.modalities.outputs import output_of
from thresher.modalities.samples import EncodedSamples
from thresher.models import ModelChoice
from thresher.models.fitted import FitData, Fitted
from thresher.training import Training
from thresher.training.checkpointer import report_epoch
from thresher.training.history import Epoch, TrainingHistory
from thresher.training.validation import METRIC

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
    began = time.monotonic()
    output, threads = output_of(samples[0]), training.execution.threads
    data = FitData(
        given,
        output,
        *samples,
        training.seed,
        balances_classes=training.class_weights == "balanced",
        threads=None if threads == "auto" else threads,
    )
    fitted: Fitted = kind_of(ModelKind, model.root).load()(model.root, data)
    emit(Step(f"{model.root.kind}: {fitted.summary}"))
    history = _history(fitted, METRIC[output.kind], time.monotonic() - began)
    _report(history, name)
    return fitted.onnx_file, history


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
