"""ONNX Runtime sessions as they are judged and served: CPU, pinned threads."""

from __future__ import annotations

import numpy as np
import onnxruntime

from thresher.modalities.inputs import ModelInput

PREDICTION_BATCH = 256


def open_session(onnx_file: bytes, threads: int) -> onnxruntime.InferenceSession:
    """Return a session over ``onnx_file`` that uses exactly ``threads`` threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])


def predict(session: onnxruntime.InferenceSession, inputs: np.ndarray, model_input: ModelInput) -> np.ndarray:
    """Return what the model answers to ``inputs`` [N, ...]: float32 [N, K] probabilities, or [N, 1] values.

    Samples of like length are computed together, without the padding that none of them needs.
    """
    order = np.argsort(model_input.lengths(inputs), kind="stable")
    places = [order[start : start + PREDICTION_BATCH] for start in range(0, len(inputs), PREDICTION_BATCH)]
    outputs = [session.run(None, {model_input.name: model_input.trim(inputs[place])})[0] for place in places]
    answers = np.empty((len(inputs), *outputs[0].shape[1:]), outputs[0].dtype)
    answers[order] = np.concatenate(outputs)
    return answers
