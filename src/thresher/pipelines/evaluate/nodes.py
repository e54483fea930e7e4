"""The nodes of the evaluation stage."""

from __future__ import annotations

import numpy as np

from thresher.evaluation import Measurement
from thresher.machine import describe_machine
from thresher.modalities.samples import EncodedSamples
from thresher.models import FLOAT
from thresher.pipelines.types import Contender, Evaluation
from thresher.progress import Step, report


def predict_test(onnx_file: bytes, test_samples: EncodedSamples, threads: int) -> np.ndarray:
    """Return the candidate's probabilities on the test split, float32 [N, K], from ONNX Runtime."""
    from thresher.evaluation.runtime import open_session, predict

    return predict(open_session(onnx_file, threads), test_samples.inputs)


def evaluate_candidate(
    onnx_file: bytes,
    float_onnx_file: bytes,
    probabilities: np.ndarray,
    float_probabilities: np.ndarray,
    test_samples: EncodedSamples,
    evaluation: Measurement,
    candidate: str,
) -> Evaluation:
    """Return the candidate's figures beside the float model's, the two timed in turns."""
    from thresher.evaluation.evaluation import Contender

    ours = Contender(candidate, onnx_file, probabilities)
    return _evaluate(ours, Contender(FLOAT, float_onnx_file, float_probabilities), test_samples, evaluation)


def evaluate_float(
    onnx_file: bytes, probabilities: np.ndarray, test_samples: EncodedSamples, evaluation: Measurement
) -> Evaluation:
    """Return the float model's figures; timed against itself, its ratios show the noise of the machine."""
    from thresher.evaluation.evaluation import Contender

    contender = Contender(FLOAT, onnx_file, probabilities)
    return _evaluate(contender, contender, test_samples, evaluation)


def _evaluate(ours: Contender, reference: Contender, samples: EncodedSamples, measurement: Measurement) -> Evaluation:
    from thresher.evaluation.evaluation import evaluate

    sizes = ", ".join(map(str, measurement.batch_sizes))
    report(Step(f"{ours.name}: {measurement.rounds} rounds in turns with {reference.name}, batch {sizes}"))
    return evaluate(ours, reference, samples.inputs, samples.labels, measurement, describe_machine())
