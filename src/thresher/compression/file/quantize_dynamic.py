"""Integer weights, with activations quantized anew for every batch."""

from __future__ import annotations

from typing import Literal

from thresher.compression.data import CalibrationData
from thresher.config import KindConfig


class QuantizeDynamic(KindConfig):
    """int8 weights for fully connected layers, LSTMs and embeddings; needs no calibration.

    Convolutions stay in float: ONNX Runtime's integer convolution with dynamic scales is slower than its float one.
    It has none for GRUs.
    """

    kind: Literal["quantize_dynamic"] = "quantize_dynamic"


def quantize_dynamic(onnx_file: bytes, config: QuantizeDynamic, data: CalibrationData) -> bytes:
    """Return the float ``onnx_file`` with int8 weights, one scale a channel.

    Raises:
        CompressionError: a file without any operator that can be quantized.
    """
    from onnxruntime import quantization

    from thresher.compression.file.ort_preprocess import prepared_for_quantization, read_quantized, silenced
    from thresher.compression.reduce_range import needs_reduced_range

    with prepared_for_quantization(onnx_file) as (prepared, target), silenced():
        quantization.quantize_dynamic(
            prepared,
            target,
            op_types_to_quantize=["MatMul", "Gemm", "LSTM", "Gather"],
            per_channel=True,
            reduce_range=needs_reduced_range(),
            weight_type=quantization.QuantType.QInt8,
        )
        return read_quantized(target, config.kind, data)
