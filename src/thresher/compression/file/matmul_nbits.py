"""Matrix products whose weights stay packed: ONNX Runtime's MatMulNBits."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from thresher.compression.file.ort_preprocess import silenced

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto


def pack_products(model: ModelProto, layers: Collection[str], bits: int, block_size: int, symmetric: bool) -> int:
    """Pack the constant weights of those ``layers`` of ``model`` that are matrix products; return how many they are."""
    _split_gemms(model, layers)
    with silenced():
        from onnxruntime.quantization import matmul_nbits_quantizer as nbits

        config = nbits.DefaultWeightOnlyQuantConfig(block_size=block_size, is_symmetric=symmetric, bits=bits)
        others = [node.name for node in model.graph.node if node.op_type == "MatMul" and node.name not in layers]
        quantizer = nbits.MatMulNBitsQuantizer(model, algo_config=config, nodes_to_exclude=others)
        quantizer.process()
    model.CopyFrom(quantizer.model.model)
    return sum(node.op_type == "MatMulNBits" for node in model.graph.node)


def _split_gemms(model: ModelProto, layers: Collection[str]) -> None:
    """Make each Gemm among ``layers`` a MatMul and an Add, where it is but that."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        is_plain = node.op_type == "Gemm" and node.name in layers and _is_plain(node)
        nodes.extend(_split(model, node, tensors) if is_plain else [node])
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    _drop_unused(model)


def _is_plain(node: NodeProto) -> bool:
    attributes = {attribute.name: attribute for attribute in node.attribute}
    factors = [attributes[name].f for name in ("alpha", "beta") if name in attributes]
    return all(factor == 1 for factor in factors) and not ("transA" in attributes and attributes["transA"].i)


def _split(model: ModelProto, node: NodeProto, tensors: dict[str, TensorProto]) -> list[NodeProto]:
    from onnx import numpy_helper
    from onnx.helper import make_node

    weight = node.input[1]
    if any(attribute.name == "transB" and attribute.i for attribute in node.attribute) and weight in tensors:
        turned = np.ascontiguousarray(numpy_helper.to_array(tensors[weight]).T)
        weight += ".turned"
        if weight not in tensors:
            tensors[weight] = numpy_helper.from_array(turned, weight)
            model.graph.initializer.append(tensors[weight])
    if len(node.input) < 3:
        return [make_node("MatMul", [node.input[0], weight], node.output, name=node.name)]
    product = f"{node.output[0]}.product"
    return [
        make_node("MatMul", [node.input[0], weight], [product], name=node.name),
        make_node("Add", [product, node.input[2]], node.output, name=f"{node.name}.bias"),
    ]


def _drop_unused(model: ModelProto) -> None:
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
