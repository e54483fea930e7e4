"""NNCF on the ONNX file, as its documentation shows it. Run by `compression.py`, in the peers' environment."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import nncf
import numpy as np
import onnx


def main(folder: Path, name: str) -> None:
    """Write `nncf_*.onnx` beside `float.onnx`; what does not work is said, and left out."""
    inputs = np.load(folder / "calibration.npy")
    samples = nncf.Dataset([{name: inputs[place : place + 1]} for place in range(len(inputs))])
    count = len(inputs)
    ways: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
        "int8": lambda model: nncf.quantize(model, samples, subset_size=count),
        "int8_mixed": lambda model: nncf.quantize(
            model, samples, subset_size=count, preset=nncf.QuantizationPreset.MIXED
        ),
        "weights_int8": lambda model: nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM),
        "weights_int4": lambda model: nncf.compress_weights(
            model, mode=nncf.CompressWeightsMode.INT4_SYM, group_size=-1, all_layers=True
        ),
    }
    for kind, make in ways.items():
        try:
            onnx.save(make(onnx.load(folder / "float.onnx")), folder / f"nncf_{kind}.onnx")
        except Exception as error:
            (folder / f"nncf_{kind}.failed").write_text(f"{type(error).__name__}: {error}".splitlines()[0])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
