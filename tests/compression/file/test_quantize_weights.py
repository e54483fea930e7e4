"""Weights stored as integers: sizes, rounding errors by hand, and agreement with float."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from pydantic import ValidationError

from thresher.compression.calibration import choose_held_inputs
from thresher.compression.data import CalibrationData
from thresher.compression.file.gptq import measure_moments, round_by_moments
from thresher.compression.file.layer_sensitivity import damage_on
from thresher.compression.file.profiling import open_session
from thresher.compression.file.quantize_weights import QuantizeWeights, quantize_weights
from thresher.compression.file.weight_packing import Storage, store_weights
from thresher.errors import CompressionError
from thresher.evaluation.cost import measure_cost
from thresher.evaluation.runtime import predict
from thresher.events import Step, subscribe
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.text.model_input import TextInput


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


def make_table(rows: int, width: int) -> tuple[onnx.ModelProto, np.ndarray]:
    """Return a file that looks rows up, and what it looks up."""
    table = np.random.default_rng(1).normal(size=(rows, width)).astype(np.float32)
    node = helper.make_node("Gather", ["w", "tokens"], ["y"], name="embedding")
    tokens = helper.make_tensor_value_info("tokens", TensorProto.INT64, ["N", "T"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", "T", width])
    graph = helper.make_graph([node], "g", [tokens], [y], [numpy_helper.from_array(table, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), table


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [4, 8])
def test_at_call_rows_of_an_embedding_are_unpacked_one_by_one(
    bits: int, symmetric: bool, calibration_data: CalibrationData
) -> None:
    model, table = make_table(300, 72)  # 72 is no whole number of blocks
    config = QuantizeWeights.model_validate(
        {"bits": bits, "symmetric": symmetric, "unpack": "at_call", "block_size": 32}
    )
    file = quantize_weights(model.SerializeToString(), config, calibration_data)
    assert len(file) < 1.2 * (bits / 8 + 4 * 3 / 72 + 3 / 72) * table.size
    assert [node.op_type for node in onnx.load_from_string(file).graph.node] == ["GatherBlockQuantized"]
    tokens = np.random.default_rng(2).integers(0, 300, (3, 5))
    (got,) = open_session(file).run(None, {"tokens": tokens})
    assert np.sqrt(((got - table[tokens]) ** 2).mean()) < 4 / (2**bits - 2) / np.sqrt(3)
    text = TextInput(vocabulary_size=300, max_length=5)
    assert measure_cost(file, text).num_parameters == measure_cost(model.SerializeToString(), text).num_parameters


def test_at_call_a_table_that_is_also_multiplied_by_stays_float(calibration_data: CalibrationData) -> None:
    model, _ = make_table(300, 64)
    model.graph.node.append(helper.make_node("Transpose", ["w"], ["turned"], name="turn"))
    model.graph.node.append(helper.make_node("MatMul", ["y", "turned"], ["scores"], name="head"))
    model.graph.output.add(name="scores")
    with pytest.raises(CompressionError, match="finds nothing that it can quantize"):
        quantize_weights(model.SerializeToString(), QuantizeWeights(unpack="at_call"), calibration_data)


@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize("symmetric", [True, False])
def test_gptq_keeps_what_a_layer_answers_better_than_the_nearest_codes(symmetric: bool, turned: bool) -> None:
    """Of inputs that depend on each other, as those of any layer do; in the last block as in the others."""
    random = np.random.default_rng(0)
    weight = random.normal(size=(75, 48)).astype(np.float32)
    inputs = random.normal(size=(2000, 12)) @ random.normal(size=(12, 75)) + 0.1 * random.normal(size=(2000, 75))
    storage, errors = Storage(4, 32, symmetric), []
    for rounding in (None, partial(round_by_moments, storage=storage, moments=inputs.T @ inputs)):
        model = make_product(np.ascontiguousarray(weight.T), "Gemm", transB=1) if turned else make_product(weight)
        assert store_weights(model, ["layer"], storage, {"w": rounding} if rounding else None) == 1
        errors.append(np.linalg.norm(inputs @ (unpacked(model, 75) - weight)))
    assert errors[1] < 0.5 * errors[0]


def test_gptq_reads_what_each_layer_of_a_file_is_given(float_onnx: bytes, calibration_data: CalibrationData) -> None:
    model = onnx.load_from_string(float_onnx)
    moments = measure_moments(model, ["fc1", "fc2", "conv1"], 5, calibration_data)
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    assert {name: own.shape for name, own in moments.items()} == {
        name: (shapes[name][1],) * 2 for name in ("network.body.fc1.weight", "network.body.fc2.weight")
    }
    for own in moments.values():
        np.testing.assert_allclose(own, own.T)
        assert np.linalg.eigvalsh(own).min() > -1e-6 * own.max()
        assert np.linalg.matrix_rank(own) <= 5  # one row a sample


def test_gptq_harms_the_answers_less(float_onnx: bytes, calibration_data: CalibrationData) -> None:
    held = calibration_data.training_samples.inputs[-400:]
    damage = damage_on(float_onnx, held, calibration_data)
    harm = {
        rounding: damage(
            quantize_weights(
                float_onnx,
                QuantizeWeights.model_validate(
                    {"bits": 4, "block_size": 256, "rounding": rounding, "keep_float": ["conv*"]}
                ),
                calibration_data,
            )
        )
        for rounding in ("nearest", "gptq")
    }
    assert 0 < harm["gptq"] < 0.7 * harm["nearest"], harm


def test_the_layers_that_harm_most_stay_float_until_the_damage_is_small(
    float_onnx: bytes, calibration_data: CalibrationData
) -> None:
    said: list[str] = []
    leave = subscribe(lambda event: said.append(event.text) if isinstance(event, Step) else None)
    config = QuantizeWeights(bits=4, block_size=1024, keep_float="auto", max_damage=1e-9, max_float_layers=2)
    file = quantize_weights(float_onnx, config, calibration_data)
    leave()
    codes = [tensor.name for tensor in onnx.load_from_string(file).graph.initializer if tensor.name.endswith(".codes")]
    everything = quantize_weights(float_onnx, QuantizeWeights(bits=4, block_size=1024), calibration_data)
    held = choose_held_inputs(512, config.calibration_samples, calibration_data)
    damage = damage_on(float_onnx, held, calibration_data)
    assert len(codes) == 2 and damage(file) < damage(everything)
    (words,) = [text for text in said if "in float stay" in text]
    assert f"damage {damage(file):.2g}" in words


def test_gptq_is_for_weights_that_are_unpacked_at_load() -> None:
    with pytest.raises(ValidationError, match="rounding: gptq is for unpack: at_load"):
        QuantizeWeights(unpack="at_call", rounding="gptq")
