"""The training samples that ranges are read from, and their trace in the file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from thresher.compression.data import CalibrationData
from thresher.errors import CompressionError
from thresher.onnx_integers import CALIBRATION

CALIBRATION_BATCH = 64
"""The most samples in one call."""


def choose_calibration_inputs(count: int, data: CalibrationData, draw: int = 0) -> np.ndarray:
    """Return ``count`` inputs [N, ...] drawn without replacement from the validated training samples, by the seed.

    Another ``draw`` gives other ones.

    They are as long as the longest of them; all samples where there are fewer.

    Raises:
        CompressionError: there is no training sample.
    """
    return data.input.trim(data.training_samples.inputs[_drawn(count, data, draw)])


def choose_held_inputs(count: int, used: int, data: CalibrationData, draw: int = 0) -> np.ndarray:
    """Return other inputs than the ``used`` ones of `choose_calibration_inputs`, ``count`` of them at most.

    The same ones where nothing else is left.
    """
    rest = np.setdiff1d(np.arange(len(data.training_samples)), _drawn(used, data, draw))
    if len(rest) == 0:
        return choose_calibration_inputs(count, data, draw)
    chosen = np.random.default_rng(data.seed + 1).choice(rest, min(count, len(rest)), replace=False)
    return data.input.trim(data.training_samples.inputs[np.sort(chosen)])


def _drawn(count: int, data: CalibrationData, draw: int) -> np.ndarray:
    total = len(data.training_samples)
    if total == 0:
        raise CompressionError(
            f"{data.candidate}: there are no training samples to read ranges from; at least 1 is needed. "
            "Give the training split more data."
        )
    random = np.random.default_rng([data.seed, draw] if draw else data.seed)
    return np.sort(random.choice(total, min(count, total), replace=False))


def trace_of(inputs: np.ndarray, data: CalibrationData) -> dict[str, str]:
    """Return what a file's metadata tells of its calibration ``inputs``: their SHA-256, their number and the seed."""
    digest = hashlib.sha256(repr((inputs.shape, inputs.dtype.str)).encode())
    digest.update(np.ascontiguousarray(inputs).data)
    return {"sha256": digest.hexdigest(), "samples": str(len(inputs)), "seed": str(data.seed)}


def read_trace(onnx_file: bytes) -> dict[str, str]:
    """Return sha256, samples and seed of the calibration that ``onnx_file`` was made with; nothing where none was."""
    import onnx

    properties = onnx.load_from_string(onnx_file).metadata_props
    return {
        entry.key.removeprefix(CALIBRATION): entry.value for entry in properties if entry.key.startswith(CALIBRATION)
    }


class CalibrationBatches:
    """ONNX Runtime's CalibrationDataReader over an array."""

    def __init__(self, name: str, inputs: np.ndarray) -> None:
        self._name = name
        # Batches of one size: ONNX Runtime's entropy and percentile stack their outputs.
        size = max(size for size in range(1, CALIBRATION_BATCH + 1) if len(inputs) % size == 0)
        self._batches: Iterator[np.ndarray] = iter(inputs.reshape(-1, size, *inputs.shape[1:]))

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next batch by the name of the graph's input."""
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}
