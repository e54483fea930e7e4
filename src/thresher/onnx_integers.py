"""The last touches of an exported file whose weights are int8."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

CODES, SCALE = ".codes", ".scale"
CALIBRATION = "thresher.calibration."
"""Begins the keys of a file's metadata that tell what it was calibrated on: sha256, samples and seed."""
BODY, WEIGHT = "network.body.", ".parametrizations.weight.0"
"""How torch's exporter begins names of tensors, and what it calls a layer's weight that is computed."""


def name_integer_layers(model: ModelProto) -> None:
    """Give the operators of layers with int8 weights the names of the layers, and the weights short ones."""
    layer_of: dict[str, str] = {}
    taken = {node.name for node in model.graph.node}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and WEIGHT in node.input[0]:
            layer = layer_of[node.output[0]] = node.input[0].split(WEIGHT)[0].removeprefix(BODY)
            node.name = f"{layer}.weight"
        elif node.op_type == "Gather" and node.input[0].endswith(CODES):
            node.name = node.input[0].removeprefix(BODY).removesuffix(CODES)
        elif known := [layer_of[name] for name in node.input if name in layer_of]:
            if node.op_type == "Transpose":
                layer_of[node.output[0]] = known[0]
            elif known[0] not in taken:
                node.name = known[0]
        taken.add(node.name)
    renamed = {tensor.name: _short(tensor.name) for tensor in model.graph.initializer}
    for tensor in model.graph.initializer:
        tensor.name = renamed[tensor.name]
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]


def _short(name: str) -> str:
    return name.removeprefix(BODY).replace(WEIGHT, ".weight")


def write_calibration(model: ModelProto, calibration: Mapping[str, str]) -> None:
    """Write into the metadata of ``model`` what it was calibrated on."""
    for key, value in calibration.items():
        model.metadata_props.add(key=CALIBRATION + key, value=value)


def finish_integers(onnx_file: bytes, float_layers: Collection[str], calibration: Mapping[str, str]) -> bytes:
    """Return ``onnx_file``, already optimized, as ONNX Runtime runs it fastest.

    ONNX Runtime gives int32 biases to operators whose output is integer; the others, such as the last layer, get theirs
    here, without which they would be computed in float.

    Args:
        float_layers: layers that are computed in float. `DequantizeLinear` would be run for them at every call;
            `Cast` and `Mul` of constants are computed once, at load.
        calibration: what goes into the metadata of it.
    """
    import onnx

    model = onnx.load_from_string(onnx_file)
    _round_biases(model)
    _unpack_at_load(model, float_layers)
    write_calibration(model, calibration)
    return bytes(model.SerializeToString())


def _round_biases(model: ModelProto) -> None:
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    scale_of = {
        node.output[0]: numpy_helper.to_array(tensors[node.input[1]])
        for node in model.graph.node
        if node.op_type == "DequantizeLinear"
    }
    for place, node in reversed(list(enumerate(model.graph.node))):
        has_bias = node.op_type in ("Conv", "Gemm") and len(node.input) == 3 and node.input[2] in tensors
        if has_bias and scale_of.keys() >= set(node.input[:2]):
            bias = numpy_helper.to_array(tensors[node.input[2]])
            rounded = _add_rounded(model, node.input[2], bias, scale_of[node.input[0]] * scale_of[node.input[1]])
            model.graph.node.insert(place, rounded)
            node.input[2] = rounded.output[0]
    _drop_unused(model)


def _add_rounded(model: ModelProto, bias: str, values: np.ndarray, scale: np.ndarray) -> NodeProto:
    """Store ``values`` as multiples of ``scale`` and return the operator that unpacks them."""
    from onnx import helper, numpy_helper

    name, limits = f"{bias}.integer", np.iinfo(np.int32)
    codes = np.clip(np.round(values.astype(np.float64) / scale), limits.min, limits.max).astype(np.int32)
    scales = np.ascontiguousarray(np.broadcast_to(scale, codes.shape), np.float32)
    model.graph.initializer.append(numpy_helper.from_array(codes, name + CODES))
    model.graph.initializer.append(numpy_helper.from_array(scales, name + SCALE))
    return helper.make_node("DequantizeLinear", [name + CODES, name + SCALE], [name], name=name, axis=0)


def _unpack_at_load(model: ModelProto, float_layers: Collection[str]) -> None:
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    unpacked = {
        node.input[1] for node in model.graph.node if node.op_type == "Conv" and node.name in float_layers
    }  # fmt: skip
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        is_weight = node.op_type == "DequantizeLinear" and node.output[0] in unpacked
        model.graph.node.extend(_constant_product(model, node, tensors) if is_weight else [node])
    _drop_unused(model)


def _constant_product(model: ModelProto, node: NodeProto, tensors: dict[str, TensorProto]) -> list[NodeProto]:
    """Return ``Cast`` and ``Mul`` in the place of the ``DequantizeLinear`` of a convolution's weight."""
    from onnx import TensorProto, helper, numpy_helper

    codes, name = tensors[node.input[0]], node.output[0]
    # Another tensor: what has the same value elsewhere may share the one that is there.
    scale = numpy_helper.to_array(tensors[node.input[1]]).reshape(-1, *[1] * (len(codes.dims) - 1))
    model.graph.initializer.append(numpy_helper.from_array(scale, name + SCALE))
    return [
        helper.make_node("Cast", [codes.name], [name + ".float"], name=name + ".float", to=TensorProto.FLOAT),
        helper.make_node("Mul", [name + ".float", name + SCALE], [name], name=name),
    ]


def _drop_unused(model: ModelProto) -> None:
    used = {name for node in model.graph.node for name in node.input} | {value.name for value in model.graph.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
