"""ONNX Runtime's own quantizer, as its documentation shows it. Run by `compression.py`, in the peers' environment."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Reader(CalibrationDataReader):
    """Gives the calibration samples, 32 at a time."""

    def __init__(self, name: str, inputs: np.ndarray) -> None:
        self._batches: Iterator[dict[str, np.ndarray]] = iter(
            [{name: inputs[start : start + 32]} for start in range(0, len(inputs), 32)]
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next batch, None after the last."""
        return next(self._batches, None)


def main(folder: Path, name: str) -> None:
    """Write `onnxruntime_*.onnx` beside `float.onnx`."""
    source, prepared = folder / "float.onnx", folder / "prepared.tmp"
    inputs = np.load(folder / "calibration.npy")
    quantize_dynamic(source, folder / "onnxruntime_dynamic.onnx")
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    for kind, per_channel in (("static", False), ("static_per_channel", True)):
        target = folder / f"onnxruntime_{kind}.onnx"
        reader = Reader(name, inputs)
        quantize_static(prepared, target, reader, quant_format=QuantFormat.QDQ, per_channel=per_channel)
    prepared.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
