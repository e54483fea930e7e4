"""ONNX Runtime's own quantizer and optimizers, as its documentation shows them.

Run by `compression.py`, in the peers' environment.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from making import Make, Task
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers import optimizer

FUSED = {"DefaultTensorType": onnx.TensorProto.FLOAT}
"""What the quantizer's own error asks for: it infers no types behind operators that were fused."""
INT8_ARITHMETIC = 4
"""The accuracy level at which 4-bit weights are multiplied in int8."""


class Reader(CalibrationDataReader):
    """Gives the calibration samples, 32 at a time."""

    def __init__(self, task: Task) -> None:
        inputs = task.calibration()
        self._batches: Iterator[dict[str, np.ndarray]] = iter(
            [{task.name: task.trim(inputs[start : start + 32])} for start in range(0, len(inputs), 32)]
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next batch, None after the last."""
        return next(self._batches, None)


def main(folder: Path) -> None:
    """Write `onnxruntime_*.onnx` beside `float.onnx`."""
    task = Task(folder)
    source = task.float_file
    ways: dict[str, Make] = {
        "optimized": lambda target: optimize(source, target),
        "dynamic": lambda target: quantize_dynamic(source, target),
        "static": lambda target: quantize(task, source, target),
        "static_per_channel": lambda target: quantize(task, source, target, per_channel=True),
        "static_unsigned": lambda target: quantize(task, source, target, activation_type=QuantType.QUInt8),
        "weights_int4": lambda target: quantize_weights(source, target),
    }
    if task.padding is not None:
        ways |= ways_for_texts(source, folder)
    task.make_each("onnxruntime", ways)


def ways_for_texts(source: Path, folder: Path) -> dict[str, Make]:
    """Return what its documentation has for Transformers: fusions first, embeddings packed."""
    exported, fused = folder / "torch_float.onnx", folder / "onnxruntime_fused.onnx"
    embeddings = {"op_types_to_quantize": ("MatMul", "Gather"), "accuracy_level": INT8_ARITHMETIC}
    return {
        "dynamic_per_channel": partial(quantize_per_channel, source),
        "fused": partial(fuse, exported),
        "fused_dynamic": partial(quantize_dynamic, fused, extra_options=FUSED),
        "fused_dynamic_per_channel": partial(quantize_per_channel, fused),
        "weights_int4_embeddings": lambda target: quantize_weights(source, target, **embeddings),
        "fused_weights_int4_embeddings": lambda target: quantize_weights(fused, target, **embeddings),
    }


def optimize(source: Path, target: Path) -> None:
    """Write what a session makes of ``source`` when it is opened, without what fits this processor alone."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


def fuse(source: Path, target: Path) -> None:
    """Write ``source`` by the optimizer of Transformers: attention, GELU and normalizations are one operator each."""
    optimizer.optimize_model(str(source), model_type="bert").save_model_to_file(str(target))


def quantize(task: Task, source: Path, target: Path, **options: Any) -> None:
    """Write ``source`` in int8, its activations' ranges read from the calibration samples."""
    prepared = target.with_name("prepared.onnx")
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    quantize_static(prepared, target, Reader(task), quant_format=QuantFormat.QDQ, **options)
    prepared.unlink()


def quantize_per_channel(source: Path, target: Path) -> None:
    """Write ``source`` in int8 with a scale for each channel, its activations' ranges found call by call."""
    quantize_dynamic(source, target, per_channel=True, extra_options=FUSED)


def quantize_weights(source: Path, target: Path, **options: Any) -> None:
    """Write ``source`` with the constants of its MatMuls in 4 bits; other operators stay as they are."""
    quantizer = MatMulNBitsQuantizer(onnx.load(source), block_size=32, **options)
    quantizer.process()
    onnx.save(quantizer.model.model, target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
