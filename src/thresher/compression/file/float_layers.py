"""Layers that stay in float among integers, so that ONNX Runtime leaves them there when it loads the file."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from thresher.compression.file.weight_packing import raise_opset

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

ROUNDED = ("Conv", "ConvTranspose", "Gemm")
"""Operators whose float weights ONNX Runtime rounds to 8 bits where their input is made of integers."""
CHANNEL_AXIS = 1
AXIS_OPSET = 13
"""Since when `DequantizeLinear` has scales of several channels."""


def keep_in_float(model: ModelProto, names: Collection[str]) -> None:
    """Give the layers ``names`` inputs with one scale a channel, all alike: nothing but their form is changed.

    ONNX Runtime (`WeightBiasQuantization`) rounds the weights of a layer whose input comes from integers of one scale,
    to 8 bits with one scale for all of them, whatever the file says. From integers of several scales it does not.
    """
    raise_opset(model, AXIS_OPSET)
    graph = model.graph
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    for place, node in reversed(list(enumerate(graph.node))):
        if node.op_type not in ROUNDED or node.name not in names or node.input[1] not in initializers:
            continue
        maker = makers.get(node.input[0])
        if maker is not None and maker.op_type == "DequantizeLinear":
            own, scales = _with_scales(maker, node, initializers)
            node.input[0] = own.output[0]
            graph.initializer.extend(scales)
            graph.node.insert(place, own)


def _with_scales(
    maker: NodeProto, layer: NodeProto, initializers: dict[str, TensorProto]
) -> tuple[NodeProto, list[TensorProto]]:
    """Return what makes floats of integers for ``layer`` alone as ``maker`` does, and its scales and zero points."""
    from onnx import helper, numpy_helper

    channels, name = _channels(layer, initializers), f"{layer.name}_input"
    single = [numpy_helper.to_array(initializers[given]) for given in maker.input[1:]]
    names = [f"{name}_scale", f"{name}_zero_point"][: len(single)]
    vectors = [np.full(channels, value) for value in single]
    node = helper.make_node(
        "DequantizeLinear", [maker.input[0], *names], [f"{name}_float"], f"{name}_float", axis=CHANNEL_AXIS
    )
    return node, [numpy_helper.from_array(vector, given) for vector, given in zip(vectors, names, strict=True)]


def _channels(layer: NodeProto, initializers: dict[str, TensorProto]) -> int:
    """Return how many input channels ``layer`` has."""
    settings: dict[str, int] = {attribute.name: attribute.i for attribute in layer.attribute}
    shape: tuple[int, ...] = tuple(initializers[layer.input[1]].dims)
    if layer.op_type == "Conv":
        return shape[1] * settings.get("group", 1)
    return shape[1] if layer.op_type == "Gemm" and settings.get("transB") else shape[0]
