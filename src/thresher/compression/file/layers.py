"""The layers of an ONNX file that a quantization may turn into integers, by name."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

COMPUTING = ("Conv", "Gemm", "MatMul", "Gather")
"""ONNX operators that are a layer: with most of the sums, or of the weights."""
FOLLOWING = (
    "Add", "Concat", "Relu", "MaxPool", "AveragePool", "GlobalAveragePool", "Reshape",
)  # fmt: skip
"""Operators that are computed on integers where their inputs are."""
FEW_CHANNELS = 4


def name_nodes(model: ModelProto) -> None:
    """Give a name to every operator that has none; a file that was not exported here may have such."""
    taken = {node.name for node in model.graph.node}
    for number, node in enumerate(model.graph.node):
        if not node.name:
            node.name = f"{node.op_type}_{number}" if f"{node.op_type}_{number}" not in taken else f"unnamed_{number}"
            taken.add(node.name)


def quantizable_layers(model: ModelProto) -> list[str]:
    """Return the names of all layers that can be quantized, in the order of the graph.

    An operator that looks up indices in constants that are no floats, such as a column's number, is none.
    """
    import onnx

    floats = {tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    return [
        node.name
        for node in model.graph.node
        if node.op_type in COMPUTING and (node.op_type != "Gather" or node.input[0] in floats)
    ]


def convolutions(model: ModelProto, max_channels: int | None = None) -> list[str]:
    """Return the names of the convolutions of at most ``max_channels`` input channels."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    found = [node for node in model.graph.node if node.op_type == "Conv" and node.input[1] in shapes]
    return [node.name for node in found if max_channels is None or _channels(node, shapes) <= max_channels]


def _channels(node: NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
    return groups * shapes[node.input[1]][1]


def nodes_in_float(model: ModelProto, float_layers: Collection[str]) -> list[str]:
    """Return all operators to leave out where ``float_layers`` stay in float: those, and what joins only floats.

    A sum of two float tensors is not worth their conversion.
    """
    left_out: list[str] = []
    integer: set[str] = set()
    for node in model.graph.node:
        is_integer = node.name not in float_layers if node.op_type in COMPUTING else _any(node.input, integer)
        if node.op_type in (*COMPUTING, *FOLLOWING):
            if is_integer:
                integer.update(node.output)
            else:
                left_out.append(node.name)
    return left_out


def _any(names: Iterable[str], among: Collection[str]) -> bool:
    return any(name in among for name in names)
