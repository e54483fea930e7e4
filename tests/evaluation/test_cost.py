"""Sizes and sums are read off the ONNX file: LeNet's by hand, and unchanged by quantization."""

from __future__ import annotations

import zlib
from typing import ClassVar

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from thresher.evaluation.cost import measure_cost
from thresher.export import export_onnx
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.model_input import ModelInput
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.series.model_input import SeriesInput
from thresher.modalities.text.model_input import TextInput
from thresher.models.lenet import LeNet
from thresher.models.network import Network, NetworkSpec
from thresher.models.recurrent.config import Gru
from thresher.models.transformer.config import Transformer


@pytest.mark.slow
def test_lenets_sums_are_those_counted_by_hand() -> None:
    torch.manual_seed(0)
    spec = NetworkSpec(
        model=LeNet(),
        input=ImageInput(channels=1, height=28, width=28, mean=(72.0,), std=(90.0,)),
        output=ClassOutput(num_classes=10),
    )
    onnx_file = export_onnx(Network(spec))
    cost = measure_cost(onnx_file, spec.input)
    convolutions = 28 * 28 * (6 * 1 * 25) + 10 * 10 * (16 * 6 * 25)
    products = 400 * 120 + 120 * 84 + 84 * 10
    assert cost.macs == convolutions + products == 416_520
    assert cost.num_parameters == 61_706 - (6 + 16 + 120 + 84 + 10)
    assert cost.size_bytes == len(onnx_file)
    assert 61_706 * 4 < cost.size_bytes < 61_706 * 4 + 8192


class Vector(ModelInput):
    """Any array of floats."""

    kind: str = "vector"
    name: ClassVar[str] = "x"
    dtype: ClassVar[np.dtype] = np.dtype(np.float32)
    sizes: tuple[int, ...]

    @property
    def longest(self) -> tuple[int, ...]:
        return self.sizes


def make_file(nodes: list[onnx.NodeProto], shape: list[int | str], **weights: np.ndarray) -> bytes:
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    initializers = [numpy_helper.from_array(weight, name) for name, weight in weights.items()]
    graph = helper.make_graph(
        [*nodes, helper.make_node("Identity", ["z"], ["y"])], "g", [image], [output], initializers
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("stride", "groups", "macs"), [(1, 1, 4 * 2 * 9 * 36), (2, 1, 4 * 2 * 9 * 9), (1, 2, 4 * 1 * 9 * 36)]
)
def test_a_convolution_costs_its_kernel_at_every_place(stride: int, groups: int, macs: int) -> None:
    kernel = np.zeros((4, 2 // groups, 3, 3), np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["z"], strides=[stride] * 2, group=groups)
    cost = measure_cost(make_file([node], [2, 8, 8], w=kernel), Vector(sizes=(2, 8, 8)))
    assert (cost.macs, cost.num_parameters) == (macs, kernel.size)


def test_biases_scales_and_sums_of_activations_are_not_counted() -> None:
    weights = {"w": np.zeros((3, 5), np.float32), "b": np.zeros(5, np.float32), "s": np.zeros((1, 3), np.float32)}
    nodes = [helper.make_node("Mul", ["x", "s"], ["m"]), helper.make_node("Gemm", ["m", "w", "b"], ["z"])]
    cost = measure_cost(make_file(nodes, [3], **weights), Vector(sizes=(3,)))
    assert (cost.macs, cost.num_parameters) == (15, 15)


def test_zeroed_weights_show_in_the_compressed_size_alone() -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["z"])
    random = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    dense, sparse = (make_file([node], [64], w=weight) for weight in (random, random * (np.abs(random) > 2)))
    whole, pruned = (measure_cost(file, Vector(sizes=(64,))) for file in (dense, sparse))
    assert whole.size_bytes == pruned.size_bytes
    assert pruned.compressed_bytes == len(zlib.compress(sparse, 6)) < 0.5 * whole.compressed_bytes


def test_a_product_costs_its_sums_at_every_step_of_the_longest_sequence() -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["z"])
    cost = measure_cost(make_file([node], ["T", 3], w=np.zeros((3, 5), np.float32)), Vector(sizes=(7, 3)))
    assert (cost.macs, cost.num_parameters) == (7 * 15, 15)


def test_products_of_activations_are_sums_without_parameters() -> None:
    node = helper.make_node("MatMul", ["x", "x"], ["z"])
    cost = measure_cost(make_file([node], [4, 4]), Vector(sizes=(4, 4)))
    assert (cost.macs, cost.num_parameters) == (64, 0)


@pytest.mark.parametrize(("operator", "gates"), [("LSTM", 4), ("GRU", 3)])
def test_a_recurrence_costs_both_weights_at_every_step(operator: str, gates: int) -> None:
    weights = {"w": np.zeros((1, gates * 5, 3), np.float32), "r": np.zeros((1, gates * 5, 5), np.float32)}
    turn = helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2])
    node = helper.make_node(operator, ["t", "w", "r"], ["z"], hidden_size=5)
    cost = measure_cost(make_file([turn, node], ["T", 3], **weights), Vector(sizes=(6, 3)))
    assert cost.num_parameters == gates * 5 * (3 + 5)
    assert cost.macs == 6 * cost.num_parameters


def test_an_embedding_is_parameters_and_no_sums() -> None:
    to_numbers = helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT64)
    node = helper.make_node("Gather", ["w", "i"], ["z"])
    cost = measure_cost(make_file([to_numbers, node], ["T"], w=np.zeros((10, 4), np.float32)), Vector(sizes=(6,)))
    assert (cost.macs, cost.num_parameters) == (0, 40)


@pytest.mark.slow
def test_a_transformers_sums_are_those_counted_by_hand() -> None:
    text = TextInput(vocabulary_size=50, max_length=12)
    model = Transformer(dimension=8, num_heads=2, num_layers=3, feed_forward=20)
    spec = NetworkSpec(model=model, input=text, output=ClassOutput(num_classes=4))
    cost = measure_cost(export_onnx(Network(spec)), text)
    block = 8 * 24 + 8 * 8 + 8 * 20 + 20 * 8
    attention = 2 * 12 * 12 * 8
    assert cost.macs == 3 * (12 * block + attention) + 8 * 4
    assert cost.num_parameters == (50 + 12) * 8 + 3 * block + 8 * 4


@pytest.mark.slow
def test_a_recurrent_networks_sums_are_those_counted_by_hand() -> None:
    series = SeriesInput(channels=3, max_length=9, mean=(0.0,) * 3, std=(1.0,) * 3)
    spec = NetworkSpec(model=Gru(hidden=5, num_layers=2), input=series, output=ClassOutput(num_classes=4))
    cost = measure_cost(export_onnx(Network(spec)), series)
    first, second = 2 * 3 * 5 * (3 + 5), 2 * 3 * 5 * (2 * 5 + 5)
    assert cost.macs == 9 * (first + second) + 10 * 4
    assert cost.num_parameters == first + second + 10 * 4


def test_onnxruntimes_own_operators_are_counted() -> None:
    weight = np.zeros((3, 5), np.float32)
    own = [helper.make_node("FusedMatMul", ["x", "w"], ["f"], domain="com.microsoft", transA=0),
           helper.make_node("FusedGemm", ["f", "v"], ["z"], domain="com.microsoft", activation="Relu")]  # fmt: skip
    model = onnx.load_from_string(make_file(own, [3], w=weight, v=np.zeros((5, 2), np.float32)))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    cost = measure_cost(model.SerializeToString(), Vector(sizes=(3,)))
    assert (cost.macs, cost.num_parameters) == (15 + 10, 15 + 10)


def test_weights_that_are_computed_from_stored_ones_are_parameters() -> None:
    codes, scale = np.zeros((6, 5), np.int8), np.ones((1, 5), np.float32)
    nodes = [helper.make_node("Cast", ["codes"], ["c"], to=TensorProto.FLOAT),
             helper.make_node("Mul", ["c", "scale"], ["m"]),
             helper.make_node("Reshape", ["m", "sizes"], ["w"]),
             helper.make_node("MatMul", ["x", "w"], ["z"])]  # fmt: skip
    file = make_file(nodes, [3], codes=codes, scale=scale, sizes=np.array([3, 10]))
    cost = measure_cost(file, Vector(sizes=(3,)))
    assert (cost.macs, cost.num_parameters) == (30, 30)
