"""A model from outside, run in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import onnxruntime

from thresher.errors import DataError


def open_session(content: bytes) -> onnxruntime.InferenceSession:
    """Return a session on the CPU that says nothing and changes nothing of the graph."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run(content: bytes, inputs: Mapping[str, np.ndarray], output: str, batch: int) -> np.ndarray:
    """Return what the model answers to ``inputs`` [N, ...], ``batch`` samples a call; the last call is filled up."""
    session = open_session(content)
    parts, count = [], len(next(iter(inputs.values())))
    for start in range(0, count, batch):
        places = np.arange(start, start + batch) % count
        parts.append(np.asarray(session.run([output], {name: given[places] for name, given in inputs.items()})[0]))
    if parts[0].ndim == 0 or len(parts[0]) != batch:
        raise ValueError(
            f"output {output} has shape {list(parts[0].shape)} for {batch} samples; "
            "its first axis must be that of the samples"
        )
    return np.concatenate(parts)[:count]


@contextmanager
def naming_the_file(name: str, fix: str) -> Iterator[None]:
    """Turn what ONNX Runtime raises, which shares no base class, into an error of the file ``name``."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        first = str(error).strip().partition("\n")[0]
        raise DataError(f"{name}: cannot be run: {first}. Fix: {fix}") from error


def alike(first: np.ndarray, second: np.ndarray, tolerance: float = 1e-4) -> bool:
    """Return whether both are the same answers, up to ``tolerance`` of the largest."""
    if first.shape != second.shape:
        return False
    scale = max(1.0, float(np.abs(first).max(initial=0)))
    return bool(np.allclose(first, second, rtol=0, atol=tolerance * scale, equal_nan=True))
