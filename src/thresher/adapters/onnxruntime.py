"""ONNX Runtime's converter to 16 bits: what it calls the casts that it puts in, and the order of a graph's nodes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

INPUT_CAST, OUTPUT_CAST, DOWN, UP = "graph_input_cast", "graph_output_cast", "_cast_to_fp16_node", "_cast_to_fp32_node"
"""What the converter calls its casts of inputs and outputs, to 16 bits and back."""


def convert_to_float16(
    model: ModelProto, operators: Iterable[str], nodes: Collection[str], smallest: float, largest: float
) -> ModelProto:
    """Return ``model`` in 16 bits, with inputs and outputs as they are.

    Args:
        operators: types of operators that stay in float32, beside those that ONNX Runtime has in float32 alone.
        nodes: names of nodes that stay in float32.
        smallest, largest: the magnitudes that the weights are moved to where they lie beyond.
    """
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    converted: ModelProto = convert_float_to_float16(
        model,
        keep_io_types=True,
        op_block_list=[*DEFAULT_OP_BLOCK_LIST, *operators],
        node_block_list=list(nodes),
        min_positive_val=smallest,
        max_finite_val=largest,
    )
    return converted


def goes_down(cast: NodeProto) -> bool:
    """Return whether the converter put ``cast`` in to go to 16 bits."""
    return DOWN in cast.name or (cast.name.startswith(INPUT_CAST) and UP not in cast.name)


def goes_up(cast: NodeProto) -> bool:
    """Return whether the converter put ``cast`` in to go back to 32 bits."""
    return UP in cast.name or cast.name.startswith(OUTPUT_CAST)


def sort_nodes(model: ModelProto) -> None:
    """Bring the nodes of ``model`` into an order in which each comes after those that it reads."""
    from onnxruntime.quantization.onnx_model import ONNXModel

    ONNXModel(model).topological_sort()
