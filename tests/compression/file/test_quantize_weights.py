"""Weights stored as integers: sizes, rounding errors by hand, and agreement with float."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from pydantic import ValidationError

from thresher.compression.data import CalibrationData
from thresher.compression.file.profiling import open_session
from thresher.compression.file.quantize_weights import QuantizeWeights, quantize_weights
from thresher.compression.file.weight_packing import Storage, store_weights
from thresher.errors import CompressionError
from thresher.evaluation.cost import measure_cost
from thresher.evaluation.runtime import predict
from thresher.modalities.image.model_input import ImageInput


def make_product(weight: np.ndarray, operator: str = "MatMul", **attributes: int) -> onnx.ModelProto:
    """Return a file that multiplies what it is given by ``weight``."""
    node = helper.make_node(operator, ["x", "w"], ["y"], name="layer", **attributes)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "g", [x], [y], [numpy_helper.from_array(weight, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def unpacked(model: onnx.ModelProto, inputs: int) -> np.ndarray:
    """Return the weight as ONNX Runtime unpacks it."""
    answer: np.ndarray = open_session(model.SerializeToString()).run(None, {"x": np.eye(inputs, dtype=np.float32)})[0]
    return answer


@settings(deadline=None, max_examples=25)
@given(
    inputs=st.integers(20, 90), outputs=st.integers(20, 70), bits=st.sampled_from([4, 8]), symmetric=st.booleans(),
    block_size=st.sampled_from([None, 16, 32]), turned=st.booleans(), seed=st.integers(0, 1000),
)  # fmt: skip
def test_no_weight_is_off_by_more_than_its_block_allows(
    inputs: int, outputs: int, bits: int, symmetric: bool, block_size: int | None, turned: bool, seed: int
) -> None:
    weight = np.random.default_rng(seed).uniform(-1, 1, (inputs, outputs)).astype(np.float32)
    model = make_product(np.ascontiguousarray(weight.T), "Gemm", transB=1) if turned else make_product(weight)
    if store_weights(model, ["layer"], Storage(bits, block_size, symmetric)) == 0:
        assert weight.nbytes < 6000
        return
    step = 2 / (2**bits - 2)  # of a symmetric range from -1 to 1
    error = np.abs(unpacked(model, inputs) - weight)
    assert error.max() <= 0.4 + step  # a range may be clipped to 0.6 of a block's
    assert np.sqrt((error**2).mean()) <= 1.05 * step / np.sqrt(12)
    codes = {tensor.name: tensor for tensor in model.graph.initializer}["w.codes"]
    assert len(codes.raw_data) == -(-np.prod(codes.dims) * bits // 8)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("bits", [4, 8])
def test_0_is_in_the_range_of_weights_that_are_all_on_one_side_of_it(bits: int, side: int) -> None:
    weight = side * np.random.default_rng(0).uniform(3, 4, (64, 64)).astype(np.float32)
    model = make_product(weight)
    assert store_weights(model, ["layer"], Storage(bits, 32, False)) == 1
    assert np.abs(unpacked(model, 64) - weight).max() <= 4 / (2**bits - 1)


def error_of(weight: np.ndarray, storage: Storage) -> np.ndarray:
    """Return by how much each weight of one matrix is off."""
    model = make_product(weight)
    assert store_weights(model, ["layer"], storage) == 1
    error: np.ndarray = unpacked(model, len(weight)) - weight
    return error


def test_a_range_is_clipped_where_that_costs_less_than_it_saves() -> None:
    weight = np.random.default_rng(0).uniform(-0.6, 0.6, (256, 32)).astype(np.float32)
    weight[0] = 1.0  # one outlier a block
    of_the_whole_range = 2 / (2**4 - 2) / np.sqrt(12)
    assert np.sqrt((error_of(weight, Storage(4, None, True)) ** 2).mean()) < 0.9 * of_the_whole_range


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_block_of_zeros_stays_one(symmetric: bool) -> None:
    weight = np.random.default_rng(0).uniform(-1, 1, (64, 64)).astype(np.float32)
    weight[:32] = 0
    assert not error_of(weight, Storage(8, 32, symmetric))[:32].any()


@pytest.mark.parametrize("bits", [4, 8])
def test_a_symmetric_range_has_as_many_steps_below_0_as_above(bits: int) -> None:
    weight = np.random.default_rng(0).uniform(-1, 1, (64, 64)).astype(np.float32)
    weight[0] = -3  # of a clipped range, as far out as a code goes
    model = make_product(weight)
    assert store_weights(model, ["layer"], Storage(bits, 32, True)) == 1
    codes = next(tensor for tensor in model.graph.initializer if tensor.name == "w.codes")
    assert numpy_helper.to_array(codes).astype(int).min() >= 1 - 2 ** (bits - 1)


def test_weights_on_the_grid_come_back_as_they_were() -> None:
    weight = np.random.default_rng(0).integers(-127, 128, (40, 50)).astype(np.float32) / 64
    weight[0] = 127 / 64
    model = make_product(weight)
    assert store_weights(model, ["layer"], Storage(8, None, True)) == 1
    np.testing.assert_array_equal(unpacked(model, 40), weight)


@pytest.mark.parametrize(("bits", "share", "agreement"), [(8, 0.45, 0.99), (4, 0.33, 0.97)])
def test_a_small_file_answers_as_float_does(
    bits: int, share: float, agreement: float, float_onnx: bytes, calibration_data: CalibrationData,
    grey: ImageInput, digits,  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    file = quantize_weights(float_onnx, QuantizeWeights.model_validate({"bits": bits}), calibration_data)
    assert len(file) < share * len(float_onnx)
    ours, theirs = (predict(open_session(content), digits.test.inputs, grey) for content in (file, float_onnx))
    assert (ours.argmax(1) == theirs.argmax(1)).mean() >= agreement
    cost, float_cost = measure_cost(file, grey), measure_cost(float_onnx, grey)
    assert (cost.macs, cost.num_parameters) == (float_cost.macs, float_cost.num_parameters)


def test_at_load_nothing_is_left_to_unpack_when_the_model_runs(
    float_onnx: bytes, calibration_data: CalibrationData, tmp_path  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    import onnxruntime

    def loaded(content: bytes, name: str) -> list[str]:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.optimized_model_filepath = str(tmp_path / name)
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return [node.op_type for node in onnx.load(tmp_path / name).graph.node]

    file = quantize_weights(float_onnx, QuantizeWeights(bits=4), calibration_data)
    assert loaded(file, "small") == loaded(float_onnx, "float")


@pytest.mark.parametrize(("bits", "symmetric"), [(8, True), (4, False)])
def test_at_call_products_are_onnxruntimes_own_and_counted(
    bits: int, symmetric: bool, float_onnx: bytes, calibration_data: CalibrationData, grey: ImageInput,
    digits, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    config = QuantizeWeights.model_validate(
        {"bits": bits, "symmetric": symmetric, "unpack": "at_call", "block_size": 32, "keep_float": ["fc2"]}
    )
    file = quantize_weights(float_onnx, config, calibration_data)
    assert capfd.readouterr() == ("", "")
    operators = [node.op_type for node in onnx.load_from_string(file).graph.node]
    assert (operators.count("MatMulNBits"), operators.count("Gemm"), operators.count("Conv")) == (1, 1, 2)
    cost, float_cost = measure_cost(file, grey), measure_cost(float_onnx, grey)
    assert (cost.macs, cost.num_parameters) == (float_cost.macs, float_cost.num_parameters)
    ours, theirs = (predict(open_session(content), digits.test.inputs, grey) for content in (file, float_onnx))
    assert (ours.argmax(1) == theirs.argmax(1)).mean() >= 0.97


def test_layers_named_are_left_and_unknown_ones_told(float_onnx: bytes, calibration_data: CalibrationData) -> None:
    file = quantize_weights(float_onnx, QuantizeWeights(keep_float=("conv*",)), calibration_data)
    graph = onnx.load_from_string(file).graph
    integers = {tensor.name for tensor in graph.initializer if tensor.data_type == TensorProto.INT8}
    assert integers == {"network.body.fc1.weight.codes", "network.body.fc2.weight.codes"}
    with pytest.raises(CompressionError, match="no layer is called 'head'"):
        quantize_weights(float_onnx, QuantizeWeights(keep_float=("head",)), calibration_data)


def test_nothing_worth_packing_is_told(calibration_data: CalibrationData) -> None:
    content = make_product(np.ones((4, 4), np.float32)).SerializeToString()
    with pytest.raises(CompressionError, match="quantize_weights finds nothing that it can quantize"):
        quantize_weights(content, QuantizeWeights(), calibration_data)


def test_at_call_a_block_is_a_power_of_two() -> None:
    with pytest.raises(ValidationError, match="block_size is a power of 2; got 48"):
        QuantizeWeights(unpack="at_call", block_size=48)
