"""What a model costs to keep and to run, read off the ONNX file itself."""

from __future__ import annotations

import math
import zlib

import numpy as np
import onnx

from thresher.config import Config

KERNEL_OPERATORS = {"Conv", "ConvInteger", "QLinearConv", "FusedConv"}
MATRIX_OPERATORS = {"Gemm", "MatMul", "MatMulInteger", "QLinearMatMul", "QGemm", "DynamicQuantizeMatMul", "FusedGemm"}


class Cost(Config):
    """Size and sums of one ONNX file."""

    size_bytes: int
    compressed_bytes: int
    """After zlib: what zeroed weights save on the wire, though not in memory or time."""
    num_parameters: int
    """Weights of convolutions and matrix products, integer or float."""
    macs: int
    """Multiply-accumulates of those for one sample."""


def measure_cost(onnx_file: bytes) -> Cost:
    """Return the cost of ``onnx_file``."""
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(onnx_file))
    weights = _weights_of_products(model.graph)
    return Cost(
        size_bytes=len(onnx_file),
        compressed_bytes=len(zlib.compress(onnx_file, 6)),
        num_parameters=sum(math.prod(shape) for _, shape in weights),
        macs=sum(_macs(node, shape, model.graph) for node, shape in weights),
    )


def _weights_of_products(graph: onnx.GraphProto) -> list[tuple[onnx.NodeProto, tuple[int, ...]]]:
    """Return each convolution and matrix product with the shape of its constant weight."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    # A quantized weight reaches its product through one node, DequantizeLinear.
    shapes |= {out: shapes[node.input[0]] for node in graph.node for out in node.output[:1]
               if node.op_type == "DequantizeLinear" and node.input[0] in shapes}  # fmt: skip
    products = [node for node in graph.node if node.op_type in KERNEL_OPERATORS | MATRIX_OPERATORS]
    return [(node, shapes[name]) for node in products for name in node.input
            if len(shapes.get(name, ())) >= 2]  # fmt: skip


def _macs(node: onnx.NodeProto, weight: tuple[int, ...], graph: onnx.GraphProto) -> int:
    if node.op_type in MATRIX_OPERATORS:
        return math.prod(weight)
    output = next(value for value in graph.value_info if value.name == node.output[0])
    spatial = [dimension.dim_value for dimension in output.type.tensor_type.shape.dim[2:]]
    return int(math.prod(weight) * np.prod(spatial))
