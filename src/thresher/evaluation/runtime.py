"""ONNX Runtime sessions as they are judged and served: CPU, pinned threads."""

from __future__ import annotations

import numpy as np
import onnxruntime

PREDICTION_BATCH = 256


def open_session(onnx_file: bytes, threads: int) -> onnxruntime.InferenceSession:
    """Return a session over ``onnx_file`` that uses exactly ``threads`` threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])


def predict(session: onnxruntime.InferenceSession, inputs: np.ndarray) -> np.ndarray:
    """Return probabilities float32 [N, K] for ``inputs`` [N, ...]."""
    name = session.get_inputs()[0].name
    starts = range(0, len(inputs), PREDICTION_BATCH)
    return np.concatenate([session.run(None, {name: inputs[start : start + PREDICTION_BATCH]})[0] for start in starts])
