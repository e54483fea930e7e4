"""Formats, layers in float and their choice, and the calibration's trace in the file."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import onnx
import pytest
from pydantic import ValidationError

from thresher.compression import reduce_range as ranges
from thresher.compression.calibration import choose_calibration_inputs, choose_held_inputs, read_trace
from thresher.compression.data import CalibrationData
from thresher.compression.file.layer_sensitivity import measure_damage, quantization_sensitivity
from thresher.compression.file.optimize_graph import OptimizeGraph, optimize_graph
from thresher.compression.file.quantize_static import QuantizeStatic, quantize_static
from thresher.errors import CompressionError
from thresher.evaluation.cost import measure_cost
from thresher.events import Event, Step
from thresher.modalities.image.model_input import ImageInput


def read_tensors(onnx_file: bytes) -> dict[str, np.ndarray]:
    graph = onnx.load_from_string(onnx_file).graph
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}


def integer_weights(onnx_file: bytes) -> dict[str, np.ndarray]:
    tensors = read_tensors(onnx_file).items()
    return {name.split(".")[-2]: tensor for name, tensor in tensors if name.endswith("weight_quantized")}


@pytest.mark.parametrize(
    ("activations", "weights"), [("unsigned", "signed"), ("signed", "signed"), ("unsigned", "unsigned")]
)
def test_bytes_are_signed_as_asked(
    activations: str, weights: str, float_onnx: bytes, calibration_data: CalibrationData
) -> None:
    config = QuantizeStatic.model_validate({"activations": activations, "weights": weights})
    file = quantize_static(float_onnx, config, calibration_data)
    graph, tensors = onnx.load_from_string(file).graph, read_tensors(file)
    zeros = {tensors[node.input[2]].dtype for node in graph.node if node.op_type == "QuantizeLinear"}
    dtypes = {"signed": np.dtype(np.int8), "unsigned": np.dtype(np.uint8)}
    assert zeros == {dtypes[activations]}
    assert {weight.dtype for weight in integer_weights(file).values()} == {dtypes[weights]}


def test_unsigned_weights_with_signed_activations_are_refused() -> None:
    with pytest.raises(ValidationError, match="no unsigned weights with signed activations"):
        QuantizeStatic(activations="signed", weights="unsigned")


def test_one_scale_a_tensor_symmetric_ranges_and_seven_bits(
    float_onnx: bytes, calibration_data: CalibrationData
) -> None:
    config = QuantizeStatic(per_channel=False, symmetric=True, activations="signed", reduced_range=True)
    tensors = read_tensors(quantize_static(float_onnx, config, calibration_data))
    assert {tensor.size for name, tensor in tensors.items() if name.endswith("weight_scale")} == {1}
    assert not any(tensor.any() for name, tensor in tensors.items() if name.endswith("zero_point"))
    quantized = [tensor for name, tensor in tensors.items() if name.endswith("weight_quantized")]
    assert max(np.abs(tensor.astype(int)).max() for tensor in quantized) <= 64


@pytest.mark.parametrize(
    ("which", "integer"),
    [("none", ["conv1", "conv2", "fc1", "fc2"]), ("few_channels", ["conv2", "fc1", "fc2"]), ("all", ["fc1", "fc2"])],
)
def test_convolutions_computed_in_float_are_stored_as_bytes(
    which: str, integer: list[str], float_onnx: bytes, calibration_data: CalibrationData, grey: ImageInput
) -> None:
    config = QuantizeStatic.model_validate({"float_convolutions": which})
    file = quantize_static(float_onnx, config, calibration_data)
    assert sorted(integer_weights(file)) == integer
    cost, float_cost = measure_cost(file, grey), measure_cost(float_onnx, grey)
    assert (cost.macs, cost.num_parameters) == (float_cost.macs, float_cost.num_parameters)
    conv2 = [tensor for name, tensor in read_tensors(file).items() if "conv2.weight" in name and tensor.ndim > 2]
    assert {tensor.dtype for tensor in conv2 if tensor.size == 32 * 16 * 9} == {np.dtype(np.int8)}


def test_layers_named_stay_in_float(float_onnx: bytes, calibration_data: CalibrationData) -> None:
    file = quantize_static(float_onnx, QuantizeStatic(keep_float=("conv?", "fc2")), calibration_data)
    assert sorted(integer_weights(file)) == ["fc1"]
    tensors, originals = read_tensors(file), read_tensors(float_onnx)
    for layer in ("conv1", "conv2", "fc2"):
        name = f"network.body.{layer}.weight"
        np.testing.assert_array_equal(tensors[name], originals[name])


def test_an_unknown_layer_is_told_with_those_there_are(float_onnx: bytes, calibration_data: CalibrationData) -> None:
    expected = r"keep_float: no layer is called 'fc9'\. Did you mean 'fc2'\? Allowed: conv1, conv2, fc1, fc2"
    with pytest.raises(CompressionError, match=expected):
        quantize_static(float_onnx, QuantizeStatic(keep_float=("fc9",)), calibration_data)


def test_what_is_auto_is_timed_and_said(
    float_onnx: bytes, calibration_data: CalibrationData, events: list[Event]
) -> None:
    config = QuantizeStatic(activations="auto", float_convolutions="auto", calibration_samples=64)
    assert config.is_timed
    assert not QuantizeStatic(keep_float="auto").is_timed
    file = quantize_static(float_onnx, config, calibration_data)
    (text,) = [event.text for event in events if isinstance(event, Step)]
    graph, tensors = onnx.load_from_string(file).graph, read_tensors(file)
    chosen = {tensors[node.input[2]].dtype.kind for node in graph.node if node.op_type == "QuantizeLinear"}
    best = text.partition(" is the fastest")[0]
    assert ("unsigned activations" in best) == (chosen == {"u"})
    assert text.count("x with") == 5  # two signs, three ways with convolutions, and one of them is the best
    assert f"{4 - len(integer_weights(file))} convolutions in float" in best


@pytest.mark.parametrize(("flag", "unsafe_left_out"), [("avx2", True), ("avx512_vnni", False)])
def test_a_format_that_overflows_here_is_not_timed(
    flag: str, unsafe_left_out: bool, float_onnx: bytes, calibration_data: CalibrationData,
    events: list[Event], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(ranges.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(ranges, "processor_flags", lambda: {flag})
    config = QuantizeStatic(weights="auto", reduced_range=False, calibration_samples=32)
    file = quantize_static(float_onnx, config, calibration_data)
    assert bool(events) != unsafe_left_out
    if unsafe_left_out:
        assert {weight.dtype for weight in integer_weights(file).values()} == {np.dtype(np.uint8)}


def test_every_layer_has_a_sensitivity_and_the_worst_stays_in_float(
    float_onnx: bytes, calibration_data: CalibrationData, events: list[Event]
) -> None:
    harm = quantization_sensitivity(float_onnx, calibration_data)
    assert list(harm) == ["conv1", "conv2", "fc1", "fc2"]
    assert all(0 < value < 0.1 for value in harm.values())
    config = QuantizeStatic(keep_float="auto", max_damage=1e-9, max_float_layers=1, float_convolutions="none")
    file = quantize_static(float_onnx, config, calibration_data)
    assert len(integer_weights(file)) == 3
    texts = [event.text for event in events if isinstance(event, Step)]
    (kept,) = set(harm) - set(integer_weights(file))
    assert f"in float stay {kept}; damage" in texts[-1]
    assert harm[kept] >= 0.5 * max(harm.values())
    config = config.model_copy(update={"max_damage": 10.0})
    assert len(integer_weights(quantize_static(float_onnx, config, calibration_data))) == 4


def test_damage_is_the_divergence_of_probabilities_and_a_share_of_the_variance_of_values() -> None:
    half, sure = np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]])
    assert measure_damage(half, half) == 0
    assert measure_damage(half, sure) == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3))
    values = np.array([[1.0], [3.0]])
    assert measure_damage(values, values + 0.5) == pytest.approx(0.25)


def test_the_file_says_which_samples_it_was_calibrated_with(
    static_onnx: bytes, float_onnx: bytes, calibration_data: CalibrationData
) -> None:
    inputs = choose_calibration_inputs(512, calibration_data)
    digest = hashlib.sha256(repr((inputs.shape, "|u1")).encode() + inputs.tobytes()).hexdigest()
    trace = {"sha256": digest, "samples": "512", "seed": "1"}
    assert read_trace(static_onnx) == trace
    assert read_trace(float_onnx) == {}
    optimized = optimize_graph(static_onnx, OptimizeGraph(level="extended", short_names=True), calibration_data)
    assert read_trace(optimized) == trace


def test_held_samples_are_others_than_the_calibration_ones(calibration_data: CalibrationData) -> None:
    training = calibration_data.training_samples
    numbered = np.arange(len(training), dtype=np.int64).reshape(-1, 1, 1, 1)
    data = dataclasses.replace(calibration_data, training_samples=dataclasses.replace(training, inputs=numbered))
    used, held = choose_calibration_inputs(300, data).ravel(), choose_held_inputs(200, 300, data).ravel()
    assert len(set(held.tolist())) == 200
    assert not set(held.tolist()) & set(used.tolist())


def test_no_samples_to_calibrate_with_is_told(float_onnx: bytes, calibration_data: CalibrationData) -> None:
    empty = calibration_data.training_samples.take(np.zeros(0, np.int64))
    data = dataclasses.replace(calibration_data, training_samples=empty)
    with pytest.raises(CompressionError, match="no training samples to read ranges from"):
        quantize_static(float_onnx, QuantizeStatic(), data)
