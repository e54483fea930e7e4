"""What a model costs to keep and to run, read off the ONNX file itself."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable

import onnx
from onnx import GraphProto, NodeProto

from thresher.config import Config
from thresher.modalities.inputs import ModelInput

Shape = tuple[int, ...]
Shapes = dict[str, Shape]


class Cost(Config):
    """Size and sums of one ONNX file."""

    size_bytes: int
    compressed_bytes: int
    """After zlib: what zeroed weights save on the wire, though not in memory or time."""
    num_parameters: int
    """Weights of convolutions, matrix products, recurrent layers and embeddings, integer or float."""
    macs: int
    """Multiply-accumulates of all but the embeddings, for one sample of the longest shape."""


def measure_cost(onnx_file: bytes, model_input: ModelInput) -> Cost:
    """Return the cost of ``onnx_file``, which takes ``model_input``."""
    model = onnx.load_from_string(onnx_file)
    _fix_shape(model.graph, (1, *model_input.longest))
    _use_standard_operators(model.graph)
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes, constants = _shapes(graph), _constants(graph)
    counted = {name for node in graph.node if node.op_type in WEIGHTED for name in node.input[:3] if name in constants}
    return Cost(
        size_bytes=len(onnx_file),
        compressed_bytes=len(zlib.compress(onnx_file, 6)),
        num_parameters=sum(math.prod(constants[name]) for name in counted if len(constants[name]) >= 2),
        macs=sum(MACS[node.op_type](node, shapes) for node in graph.node if node.op_type in MACS),
    )


def _fix_shape(graph: GraphProto, shape: Shape) -> None:
    """Give the input, whose batch and length are open, one shape; what was inferred before goes."""
    del graph.value_info[:]
    for dimension, size in zip(graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        dimension.Clear()
        dimension.dim_value = size
    for output in graph.output:
        for dimension in output.type.tensor_type.shape.dim:
            dimension.Clear()


def _use_standard_operators(graph: GraphProto) -> None:
    """Let ONNX's shape inference know ONNX Runtime's own operators: by those whose shapes they have."""
    for node in graph.node:
        if node.op_type in STANDARD:
            name, num_inputs = STANDARD[node.op_type]
            node.op_type, node.domain = name, ""
            del node.input[num_inputs:]


def _shapes(graph: GraphProto) -> Shapes:
    """Return every shape that is known; an axis that is not counts as 1."""
    values = [*graph.input, *graph.value_info, *graph.output]
    shapes = {
        value.name: tuple(dimension.dim_value or 1 for dimension in value.type.tensor_type.shape.dim)
        for value in values
    }
    return shapes | {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}


def _constants(graph: GraphProto) -> Shapes:
    """Return the shape of every constant, also where it reaches its operator through DequantizeLinear."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in shapes:
            shapes[node.output[0]] = shapes[node.input[0]]
    return shapes


def _convolution(node: NodeProto, shapes: Shapes) -> int:
    weight = shapes[node.input[3] if node.op_type == "QLinearConv" else node.input[1]]
    return math.prod(weight) * math.prod(shapes[node.output[0]][2:])


def _product(node: NodeProto, shapes: Shapes) -> int:
    """A B, for any leading axes; Gemm may have A turned."""
    turned = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    inner = shapes[node.input[0]][0 if turned else -1]
    return math.prod(shapes[node.output[0]]) * inner


def _recurrence(node: NodeProto, shapes: Shapes) -> int:
    """At every step, both weights: [directions, gates * H, D] and [directions, gates * H, H]."""
    steps = shapes[node.input[0]][0]
    return steps * sum(math.prod(shapes[name]) for name in node.input[1:3])


MACS: dict[str, Callable[[NodeProto, Shapes], int]] = {
    **dict.fromkeys(("Conv", "ConvInteger", "QLinearConv"), _convolution),
    **dict.fromkeys(("Gemm", "MatMul", "MatMulInteger", "QLinearMatMul"), _product),
    **dict.fromkeys(("LSTM", "GRU"), _recurrence),
}
"""ONNX operator -> its multiply-accumulates."""
STANDARD = {
    "DynamicQuantizeLSTM": ("LSTM", 8),
    "DynamicQuantizeMatMul": ("MatMul", 2),
    "MatMulIntegerToFloat": ("MatMul", 2),
    "FusedMatMul": ("MatMul", 2),
    "FusedGemm": ("Gemm", 3),
    "FusedConv": ("Conv", 3),
}
"""ONNX Runtime's operator -> ONNX's with the same first inputs, and how many of them."""
WEIGHTED = {*MACS, "Gather"}
"""Operators whose constant operands of two axes or more are a model's parameters."""
