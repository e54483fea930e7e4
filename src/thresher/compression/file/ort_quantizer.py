"""Static quantization as such: one calibration, and from it as many integer files as are to be compared."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from thresher.compression.calibration import CalibrationBatches
from thresher.compression.data import CalibrationData
from thresher.compression.file.layers import COMPUTING, FOLLOWING, name_nodes, nodes_in_float
from thresher.compression.file.ort_preprocess import prepared_for_quantization, silenced

if TYPE_CHECKING:
    from onnx import ModelProto

Sign = Literal["signed", "unsigned"]
Calibration = Literal["minmax", "entropy", "percentile"]
OPERATORS = [*COMPUTING, *FOLLOWING]
"""Not the softmax and the scaling of pixels: in 8 bits, probabilities tie and no longer add up to 1."""


@dataclass(frozen=True)
class IntegerFormat:
    """How numbers become 8 bits."""

    activations: Sign = "unsigned"
    weights: Sign = "signed"
    reduced_range: bool = False
    """7 bits for weights."""
    per_channel: bool = True
    symmetric: bool = False
    """0 is in the middle of an activation's range."""

    def __str__(self) -> str:
        return f"{self.activations} activations, {self.weights} weights" + (" of 7 bits" * self.reduced_range)


class Quantizer:
    """A prepared float file with the ranges of its activations."""

    def __init__(self, prepared: Path, target: Path, method: Calibration, inputs: np.ndarray, name: str) -> None:
        import onnx

        self.model: ModelProto = onnx.load(prepared)
        """The float graph: what is quantized is chosen by the names in it."""
        self._prepared, self._target, self._method = prepared, target, method
        self._ranges = target.with_name("ranges.json")
        self._batches = CalibrationBatches(name, inputs)

    def quantize(self, form: IntegerFormat, float_layers: Collection[str] = ()) -> bytes:
        """Return the file in QDQ form, all but ``float_layers``."""
        from onnxruntime import quantization

        kinds = {"signed": quantization.QuantType.QInt8, "unsigned": quantization.QuantType.QUInt8}
        methods = quantization.CalibrationMethod
        with silenced():
            quantization.quantize_static(
                self._prepared,
                self._target,
                self._batches,
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=OPERATORS,
                per_channel=form.per_channel,
                reduce_range=form.reduced_range,
                activation_type=kinds[form.activations],
                weight_type=kinds[form.weights],
                nodes_to_exclude=nodes_in_float(self.model, float_layers),
                calibrate_method={
                    "minmax": methods.MinMax, "entropy": methods.Entropy, "percentile": methods.Percentile
                }[self._method],
                extra_options={"ActivationSymmetric": form.symmetric},
                calibration_cache_path=self._ranges,
            )  # fmt: skip
        return self._target.read_bytes()


@contextmanager
def open_quantizer(
    onnx_file: bytes, method: Calibration, inputs: np.ndarray, data: CalibrationData
) -> Iterator[Quantizer]:
    """Give the quantizer of the float ``onnx_file``, whose ranges are read from ``inputs`` by ``method``."""
    import onnx

    with prepared_for_quantization(onnx_file) as (prepared, target):
        model = onnx.load(prepared)
        name_nodes(model)
        onnx.save(model, prepared)
        yield Quantizer(prepared, target, method, inputs, data.input.name)
