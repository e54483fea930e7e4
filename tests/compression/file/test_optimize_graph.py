"""The optimized graph: what is folded and fused, answers and free axes that stay, names that go."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from thresher.compression.data import CalibrationData
from thresher.compression.file.optimize_graph import OptimizeGraph, optimize_graph
from thresher.compression.file.profiling import open_session
from thresher.compression.file.quantize_weights import QuantizeWeights, quantize_weights
from thresher.errors import CompressionError
from thresher.evaluation.cost import measure_cost
from thresher.evaluation.runtime import predict
from thresher.modalities.image.model_input import ImageInput
from thresher.onnx_graph import optimize_portably


def operators(content: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(content).graph.node]


@pytest.mark.parametrize("level", ["none", "basic", "extended", "all"])
def test_answers_and_free_axes_stay(
    level: str, float_onnx: bytes, calibration_data: CalibrationData, grey: ImageInput, digits  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    config = OptimizeGraph.model_validate({"level": level, "short_names": True})
    file = optimize_graph(float_onnx, config, calibration_data)
    ours, theirs = (predict(open_session(content), digits.test.inputs, grey) for content in (file, float_onnx))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    (image,) = onnx.load_from_string(file).graph.input
    assert [size.dim_param or size.dim_value for size in image.type.tensor_type.shape.dim] == ["batch", 1, 8, 8]
    if level != "all":
        cost, float_cost = measure_cost(file, grey), measure_cost(float_onnx, grey)
        assert (cost.macs, cost.num_parameters) == (float_cost.macs, float_cost.num_parameters)


def test_extended_fuses_and_basic_leaves_what_can_be_quantized(
    float_onnx: bytes, static_onnx: bytes, calibration_data: CalibrationData
) -> None:
    basic = optimize_graph(float_onnx, OptimizeGraph(), calibration_data)
    assert operators(basic) == operators(float_onnx)
    extended = operators(optimize_graph(float_onnx, OptimizeGraph(level="extended"), calibration_data))
    assert [extended.count(name) for name in ("FusedConv", "FusedGemm", "Relu")] == [2, 1, 0]


def test_a_quantized_file_becomes_integer_operators_and_smaller(
    static_onnx: bytes, calibration_data: CalibrationData, grey: ImageInput, digits  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    config = OptimizeGraph(level="extended", short_names=True)
    file = optimize_graph(static_onnx, config, calibration_data)
    assert operators(file).count("QLinearConv") == 1
    assert operators(file).count("QGemm") == 2
    assert len(file) < len(static_onnx) - 2000
    cost, before = measure_cost(file, grey), measure_cost(static_onnx, grey)
    assert (cost.macs, cost.num_parameters) == (before.macs, before.num_parameters)


def test_packed_weights_are_not_unpacked_unawares(float_onnx: bytes, calibration_data: CalibrationData) -> None:
    packed = quantize_weights(float_onnx, QuantizeWeights(), calibration_data)
    with pytest.raises(CompressionError, match="unpacks the weights that quantize_weights has packed"):
        optimize_graph(packed, OptimizeGraph(), calibration_data)
    shorter = optimize_graph(packed, OptimizeGraph(level="none", short_names=True), calibration_data)
    assert len(shorter) < len(packed) - 500


def test_a_batch_norm_is_folded_into_its_convolution() -> None:
    random = np.random.default_rng(0)
    shapes = {"w": (4, 3, 3, 3), "scale": (4,), "bias": (4,), "mean": (4,), "var": (4,)}
    weights = [numpy_helper.from_array(random.uniform(0.5, 1, shape).astype(np.float32), name)
               for name, shape in shapes.items()]  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
        helper.make_node("BatchNormalization", ["c", "scale", "bias", "mean", "var"], ["y"], name="norm"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 6, 6])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4, 4, 4])
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()
    folded = optimize_portably(content)
    assert operators(folded) == ["Conv"]
    given = {"x": random.normal(size=(2, 3, 6, 6)).astype(np.float32)}
    answers = [open_session(file).run(None, given)[0] for file in (folded, content)]
    np.testing.assert_allclose(*answers, rtol=1e-4, atol=1e-4)
