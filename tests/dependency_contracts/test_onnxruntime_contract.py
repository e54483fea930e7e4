"""What the compression of files relies on in ONNX Runtime's tools beyond their documentation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from helpers.contract import relied_on
from onnx import TensorProto, helper, numpy_helper

from thresher.adapters.onnxruntime import INPUT_CAST, UP, convert_to_float16, goes_down, goes_up, sort_nodes
from thresher.compression.calibration import CalibrationBatches
from thresher.compression.file.matmul_nbits import pack_products
from thresher.compression.file.ort_preprocess import QUANTIZED, silenced

ADAPTER = "src/thresher/adapters/onnxruntime.py"
FOLDER = "src/thresher/compression/file"


@pytest.fixture
def model() -> onnx.ModelProto:
    """A matrix product of 64 numbers, a softmax and another product."""
    random = np.random.default_rng(0)
    weights = {"one": random.normal(0, 1, (64, 32)), "two": random.normal(0, 1, (32, 4))}
    nodes = [
        helper.make_node("MatMul", ["input", "one"], ["hidden"], name="first"),
        helper.make_node("Softmax", ["hidden"], ["shares"], name="soft", axis=1),
        helper.make_node("MatMul", ["shares", "two"], ["output"], name="second"),
    ]
    given, answer = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])
        for name, width in (("input", 64), ("output", 4))
    )
    initializers = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "products", [given], [answer], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def run(model: onnx.ModelProto, inputs: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    answers: np.ndarray = session.run(None, {"input": inputs})[0]
    return answers


def test_the_converter_to_float16_names_its_casts(model: onnx.ModelProto) -> None:
    with relied_on("onnxruntime", "transformers.float16 names its casts and leaves blocked nodes", ADAPTER):
        converted = convert_to_float16(model, ["Softmax"], [], 6e-8, 65504.0)
        casts = [node for node in converted.graph.node if node.op_type == "Cast"]
        for cast in casts:
            assert goes_down(cast) == (cast.attribute[0].i == TensorProto.FLOAT16), f"{cast.name} is called otherwise"
            assert goes_down(cast) != goes_up(cast), cast.name
        names = [cast.name for cast in casts]
        assert any(name.startswith(INPUT_CAST) for name in names) and any(UP in name for name in names)


def test_the_smallest_and_largest_numbers_are_those_that_are_given(model: onnx.ModelProto) -> None:
    with relied_on("onnxruntime", "min_positive_val and max_finite_val bound the numbers", ADAPTER):
        tensor = model.graph.initializer[0]
        numbers = numpy_helper.to_array(tensor).copy()
        numbers[0, :3] = [1e-9, 50_000, 1e6]
        tensor.CopyFrom(numpy_helper.from_array(numbers, tensor.name))
        converted = convert_to_float16(model, [], [], 6e-8, 65504.0)
        half = numpy_helper.to_array(next(one for one in converted.graph.initializer if one.name == tensor.name))
        np.testing.assert_allclose(half[0, :3].astype(float), [6e-8, 50_000, 65504], rtol=0.01)


def test_nodes_are_sorted_by_what_they_read(model: onnx.ModelProto) -> None:
    with relied_on("onnxruntime", "ONNXModel(model).topological_sort() works in place", ADAPTER):
        nodes = list(model.graph.node)[::-1]
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        sort_nodes(model)
        assert [node.name for node in model.graph.node] == ["first", "soft", "second"]


def test_products_are_packed_by_name(model: onnx.ModelProto) -> None:
    inputs = np.random.default_rng(1).normal(0, 1, (3, 64)).astype(np.float32)
    before = run(model, inputs)
    with relied_on("onnxruntime", "MatMulNBitsQuantizer packs all but nodes_to_exclude", f"{FOLDER}/matmul_nbits.py"):
        assert pack_products(model, {"first"}, bits=8, block_size=32, symmetric=True) == 1
        assert [node.op_type for node in model.graph.node] == ["MatMulNBits", "Softmax", "MatMul"]
        np.testing.assert_allclose(run(model, inputs), before, atol=0.05)


def test_ranges_are_written_beside_and_read_again(model: onnx.ModelProto, tmp_path: Path) -> None:
    from onnxruntime import quantization

    inputs = np.random.default_rng(1).normal(0, 1, (64, 64)).astype(np.float32)
    ranges, files = tmp_path / "ranges.json", [tmp_path / "first.onnx", tmp_path / "second.onnx"]
    onnx.save(model, tmp_path / "float.onnx")

    def quantize(target: Path, batches: CalibrationBatches) -> bytes:
        with silenced():
            quantization.quantize_static(
                tmp_path / "float.onnx", target, batches, quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=["MatMul"], nodes_to_exclude=["second"], calibration_cache_path=ranges,
            )  # fmt: skip
        return target.read_bytes()

    with relied_on(
        "onnxruntime", "calibration_cache_path keeps the ranges of one calibration", f"{FOLDER}/ort_quantizer.py"
    ):
        first = quantize(files[0], CalibrationBatches("input", inputs))
        assert json.loads(ranges.read_text(encoding="utf-8"))
        # Other samples, with a range ten times as wide: were they read, the scales would differ.
        assert quantize(files[1], CalibrationBatches("input", 10 * inputs)) == first
        operators = [node.op_type for node in onnx.load_from_string(first).graph.node]
        assert any(part in operator.lower() for operator in operators for part in QUANTIZED)
        assert operators.count("MatMul") == 2, "QDQ form keeps the operators"
