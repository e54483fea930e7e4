"""What a model costs to keep and to run, read off the ONNX file itself."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
from onnx import GraphProto, ModelProto, NodeProto

from thresher.config import Config
from thresher.modalities.model_input import ModelInput

Shape = tuple[int, ...]
Shapes = dict[str, Shape]


class Cost(Config):
    """Size and sums of one ONNX file."""

    size_bytes: int
    compressed_bytes: int
    """The size after zlib: what zeroed weights save on the wire, though not in memory or time."""
    num_parameters: int
    """Weights of convolutions, matrix products, recurrent layers and embeddings, integer or float; of trees, thresholds
    and leaves."""
    macs: int
    """Multiply-accumulates of all but the embeddings, for one sample of the longest shape."""


def measure_cost(onnx_file: bytes, model_input: ModelInput) -> Cost:
    """Return the cost of ``onnx_file``, which takes ``model_input``.

    The sizes of tensors are those that ONNX Runtime computes for one sample of the longest shape, so that its own
    operators are counted as ONNX's are. What it stores padded, as in a layout for one processor, counts with the
    padding.
    """
    model = onnx.load_from_string(onnx_file)
    constants = _constants(model.graph)
    weights = {name for node in model.graph.node for name in _operands(node) if name in constants}
    shapes = _shapes(model, weights, model_input)
    packed = [PACKED[node.op_type](node) for node in model.graph.node if node.op_type in PACKED]
    return Cost(
        size_bytes=len(onnx_file),
        compressed_bytes=len(zlib.compress(onnx_file, 6)),
        num_parameters=sum(packed) + sum(math.prod(shapes[name]) for name in weights if len(shapes[name]) >= 2),
        macs=sum(MACS[node.op_type](node, shapes) for node in model.graph.node if node.op_type in MACS),
    )


def _constants(graph: GraphProto) -> set[str]:
    """Return all tensors that depend on stored ones alone, such as weights that are unpacked from integers."""
    constants = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" or (node.input and constants.issuperset(filter(None, node.input))):
            constants.update(node.output)
    return constants


def _operands(node: NodeProto) -> list[str]:
    """Return the inputs of ``node`` that may be its weights."""
    places = OPERANDS.get(node.op_type, ())
    return [node.input[place] for place in places if place < len(node.input) and node.input[place]]


def _shapes(model: ModelProto, weights: set[str], model_input: ModelInput) -> Shapes:
    """Return the shapes of ``weights`` and of all that products take and give."""
    stored = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    products = [node for node in model.graph.node if node.op_type in MACS]
    needed = weights | {name for node in products for name in (*node.input[:1], *_operands(node), node.output[0])}
    asked = sorted(needed - stored.keys())
    example = model_input.example(1)
    return stored | _run_for_shapes(model, asked, {model_input.name: example}) | {model_input.name: example.shape}


def _run_for_shapes(model: ModelProto, names: list[str], feed: dict[str, np.ndarray]) -> Shapes:
    given = {value.name for value in [*model.graph.input, *model.graph.output]}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in given)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    asked = [name for name in names if name not in feed]
    return {name: value.shape for name, value in zip(asked, session.run(asked, feed), strict=True)} if asked else {}


def _packed_weights(node: NodeProto) -> int:
    sizes: dict[str, int] = {attribute.name: attribute.i for attribute in node.attribute}
    return sizes["K"] * sizes["N"]


def _splits_and_leaves(node: NodeProto) -> int:
    """Return how many numbers decide the ways through trees, and how many are added up at their ends."""
    tensors = {attribute.name: attribute.t for attribute in node.attribute}
    return sum(math.prod(tensors[name].dims) for name in ("nodes_splits", "leaf_weights"))


def _convolution(node: NodeProto, shapes: Shapes) -> int:
    """Return the sums of a convolution: at every place of every output channel, whichever axis is the channels'."""
    weight = shapes[_operands(node)[-1]]
    return math.prod(weight[1:]) * math.prod(shapes[node.output[0]][1:])


def _product(node: NodeProto, shapes: Shapes) -> int:
    """Return the sums of the product A B, for any leading axes; A may be transposed."""
    turned = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    inner = shapes[node.input[0]][-2 if turned else -1]
    return math.prod(shapes[node.output[0]]) * inner


def _recurrence(node: NodeProto, shapes: Shapes) -> int:
    """Return the sums of all steps by both weights, [directions, gates * H, D] and [directions, gates * H, H]."""
    steps = shapes[node.input[0]][0]
    return steps * sum(math.prod(shapes[name]) for name in node.input[1:3])


_CONVOLUTIONS = ("Conv", "FusedConv", "ConvInteger", "QLinearConv")
_PRODUCTS = (
    "Gemm", "FusedGemm", "QGemm", "MatMul", "FusedMatMul", "MatMulInteger", "MatMulIntegerToFloat",
    "DynamicQuantizeMatMul", "QLinearMatMul", "MatMulNBits",
)  # fmt: skip
_RECURRENCES = ("LSTM", "GRU", "DynamicQuantizeLSTM")
MACS: dict[str, Callable[[NodeProto, Shapes], int]] = {
    **dict.fromkeys(_CONVOLUTIONS, _convolution),
    **dict.fromkeys(_PRODUCTS, _product),
    **dict.fromkeys(_RECURRENCES, _recurrence),
}
"""Operator of ONNX or of ONNX Runtime -> its multiply-accumulates."""
PACKED: dict[str, Callable[[NodeProto], int]] = {"MatMulNBits": _packed_weights, "TreeEnsemble": _splits_and_leaves}
"""Operator whose parameters have no shape of their own -> how many they are."""
OPERANDS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(_CONVOLUTIONS, (1,)),
    **dict.fromkeys(_PRODUCTS, (0, 1)),
    **dict.fromkeys(_RECURRENCES, (1, 2)),
    **dict.fromkeys(("QLinearConv",), (3,)),
    **dict.fromkeys(("QGemm", "QLinearMatMul"), (0, 3)),
    "MatMulNBits": (),
    **dict.fromkeys(("Gather", "GatherBlockQuantized"), (0,)),
}
"""Operator -> those of its inputs that are a model's parameters where they are constant and of two axes or more."""
