"""The nodes of the evaluation stage."""

from __future__ import annotations

import numpy as np

from thresher.candidate_failure import CandidateFailure, attempt
from thresher.evaluation import Measurement, exported
from thresher.evaluation.evaluation import Contender, Evaluation, evaluate
from thresher.evaluation.exported import ExportedQuality
from thresher.evaluation.runtime import open_session, predict
from thresher.events import Step, emit
from thresher.machine import describe_machine
from thresher.modalities import AnyEncoder
from thresher.modalities.samples import EncodedSamples
from thresher.models import FLOAT
from thresher.models.imported.findings import Imported
from thresher.process_state import exclusive_access
from thresher.training.history import TrainingHistory


def predict_test(
    onnx_file: bytes, test_samples: EncodedSamples, encoder: AnyEncoder, threads: int, candidate: str | None = None
) -> np.ndarray | CandidateFailure:
    """Return what a model answers to the test split, float32 [N, K] or float64 [N, 1], from ONNX Runtime.

    Args:
        candidate: whose it is; None of the float model.
    """

    def make() -> np.ndarray:
        return predict(open_session(onnx_file, threads), test_samples.inputs, encoder.model_input)

    return attempt(candidate, predict_test.__name__, make, onnx_file)


def check_exported(
    onnx_file: bytes,
    validation_samples: EncodedSamples,
    encoder: AnyEncoder,
    threads: int,
    told: TrainingHistory | Imported,
) -> ExportedQuality:
    """Return what the exported float model is worth on the validation split, beside what was told of it there.

    Args:
        told: by its training, or by whoever read it from elsewhere.

    Raises:
        ParityError: they differ by more than chance.
    """
    reported = told.value if isinstance(told, Imported) else told.kept.validation_metric
    outputs = predict(open_session(onnx_file, threads), validation_samples.inputs, encoder.model_input)
    return exported.check_exported(outputs, validation_samples, reported)


def evaluate_candidate(
    onnx_file: bytes,
    float_onnx_file: bytes,
    predictions: np.ndarray,
    float_predictions: np.ndarray,
    test_samples: EncodedSamples,
    encoder: AnyEncoder,
    evaluation: Measurement,
    candidate: str,
) -> Evaluation | CandidateFailure:
    """Return the candidate's figures beside the float model's, the two timed in turns, or why it has none."""

    def make() -> Evaluation:
        ours = _contender(candidate, onnx_file, predictions, test_samples, encoder)
        float_model = _contender(FLOAT, float_onnx_file, float_predictions, test_samples, encoder)
        return _evaluate(ours, float_model, test_samples, evaluation)

    return attempt(candidate, evaluate_candidate.__name__, make, onnx_file, predictions)


def evaluate_float(
    onnx_file: bytes,
    predictions: np.ndarray,
    test_samples: EncodedSamples,
    encoder: AnyEncoder,
    evaluation: Measurement,
) -> Evaluation:
    """Return the float model's figures; timed against itself, its ratios show the noise of the machine."""
    contender = _contender(FLOAT, onnx_file, predictions, test_samples, encoder)
    return _evaluate(contender, contender, test_samples, evaluation)


def _contender(
    name: str, onnx_file: bytes, predictions: np.ndarray, samples: EncodedSamples, encoder: AnyEncoder
) -> Contender:
    return Contender(onnx_file, samples.inputs, encoder.model_input, name, predictions)


def _evaluate(ours: Contender, reference: Contender, samples: EncodedSamples, measurement: Measurement) -> Evaluation:
    sizes = ", ".join(map(str, measurement.batch_sizes))
    emit(Step(f"{ours.name}: {measurement.rounds} rounds in turns with {reference.name}, batch {sizes}"))
    with exclusive_access():
        return evaluate(ours, reference, samples.labels, measurement, describe_machine(), samples.class_names)
