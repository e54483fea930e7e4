"""A layer that is to stay in float is computed in float by the ONNX Runtime that serves the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from thresher.compression.data import CalibrationData
from thresher.compression.file.quantize_static import QuantizeStatic, quantize_static

LAYERS = ("conv1", "conv2", "fc1", "fc2")


def loaded(onnx_file: bytes, folder: Path) -> onnx.GraphProto:
    """Return the graph that ONNX Runtime computes."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "loaded.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])
    return onnx.load(folder / "loaded.onnx").graph


def answers(onnx_file: bytes, inputs: np.ndarray, **settings: list[str]) -> np.ndarray:
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"], **settings)
    (found,) = session.run(None, {session.get_inputs()[0].name: inputs})
    return np.asarray(found)


def integer_layers(graph: onnx.GraphProto) -> int:
    return sum(node.op_type in ("QLinearConv", "QGemm") for node in graph.node)


@pytest.mark.parametrize("kept", [("conv2",), ("fc1",), ("conv2", "fc1")])
def test_layers_in_float_are_not_rounded_at_load(
    kept: tuple[str, ...], float_onnx: bytes, calibration_data: CalibrationData, tmp_path: Path
) -> None:
    file = quantize_static(float_onnx, QuantizeStatic(keep_float=kept, float_convolutions="none"), calibration_data)
    onnx.checker.check_model(onnx.load_from_string(file), full_check=True)
    assert integer_layers(loaded(file, tmp_path)) == len(LAYERS) - len(kept)
    inputs = calibration_data.training_samples.inputs[:64]
    # The pass that rounds float weights finds nothing to do.
    untouched = answers(file, inputs, disabled_optimizers=["WeightBiasQuantization"])
    np.testing.assert_array_equal(answers(file, inputs), untouched)


def test_convolutions_in_float_are_computed_in_float(
    float_onnx: bytes, calibration_data: CalibrationData, tmp_path: Path
) -> None:
    file = quantize_static(float_onnx, QuantizeStatic(float_convolutions="all"), calibration_data)
    assert integer_layers(loaded(file, tmp_path)) == 2
