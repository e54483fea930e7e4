"""Integer weights and activations, with scales fixed by calibration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import Field

from thresher.compression.data import CalibrationData
from thresher.config import Config

CALIBRATION_BATCH = 64
"""The most samples in one call."""
OPERATORS = [
    "Conv", "Gemm", "MatMul", "Gather", "Add", "Concat", "Relu", "MaxPool", "AveragePool", "GlobalAveragePool",
    "Reshape",
]  # fmt: skip
"""Not the softmax and the scaling of pixels: in 8 bits, probabilities tie and no longer add up to 1."""


class QuantizeStatic(Config):
    """QDQ int8: signed weights with one scale a channel, unsigned activations, biases in int32.

    Embeddings have one scale each. LSTMs and GRUs stay in float: ONNX Runtime has none with fixed scales.
    """

    kind: Literal["quantize_static"] = "quantize_static"
    calibration_samples: int = Field(default=512, ge=1, le=1_000_000)
    """Training samples that the activations' ranges are read from; all of them where there are fewer."""
    calibration: Literal["minmax", "entropy", "percentile"] = "minmax"
    """How a range is read from them."""


def quantize_static(onnx_file: bytes, config: QuantizeStatic, data: CalibrationData) -> bytes:
    """Return the float ``onnx_file`` in QDQ form.

    Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference", CVPR 2018, as ONNX Runtime implements it.

    Raises:
        CompressionError: a file without any operator that can be quantized.
    """
    from onnxruntime import quantization

    from thresher.compression.preparation import prepared_for_quantization, read_quantized
    from thresher.compression.ranges import needs_reduced_range

    methods = {
        "minmax": quantization.CalibrationMethod.MinMax,
        "entropy": quantization.CalibrationMethod.Entropy,
        "percentile": quantization.CalibrationMethod.Percentile,
    }
    with prepared_for_quantization(onnx_file) as (prepared, target):
        quantization.quantize_static(
            prepared,
            target,
            _CalibrationBatches(data.input.name, choose_calibration_inputs(config, data)),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=needs_reduced_range(),
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=methods[config.calibration],
            op_types_to_quantize=OPERATORS,
        )
        return read_quantized(target, config.kind, data)


def choose_calibration_inputs(config: QuantizeStatic, data: CalibrationData) -> np.ndarray:
    """Return inputs [N, ...] drawn without replacement from the validated training samples, by the seed.

    They are as long as the longest of them.
    """
    count = min(config.calibration_samples, len(data.training_samples))
    chosen = np.random.default_rng(data.seed).choice(len(data.training_samples), count, replace=False)
    return data.input.trim(data.training_samples.inputs[np.sort(chosen)])


class _CalibrationBatches:
    """ONNX Runtime's CalibrationDataReader over an array."""

    def __init__(self, name: str, inputs: np.ndarray) -> None:
        self._name = name
        # Batches of one size: ONNX Runtime's entropy and percentile stack their outputs.
        size = max(size for size in range(1, CALIBRATION_BATCH + 1) if len(inputs) % size == 0)
        self._batches: Iterator[np.ndarray] = iter(inputs.reshape(-1, size, *inputs.shape[1:]))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}
