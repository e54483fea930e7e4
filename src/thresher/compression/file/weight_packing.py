"""Weights that are stored as integers and become floats when a session is opened.

ONNX Runtime computes everything that depends on constants alone once, at load. So a file whose weights are written as
`Cast -> (Sub zero point) -> Mul scale -> Reshape` is small, and its model as fast as the float one. `DequantizeLinear`
would say the same, but is run at every call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

INT4_OPSET = 21
WEIGHT_INPUTS = {"Conv": (1,), "Gemm": (1,), "MatMul": (0, 1), "Gather": (0,), "LSTM": (1, 2), "GRU": (1, 2)}
"""ONNX operator -> which of its inputs may be weights."""
OVERHEAD_BYTES = 320
"""What the operators that unpack one tensor take in a file, about."""
CLIPPINGS = np.linspace(0.6, 1.0, 17)
"""Shares of a block's full range that are tried as the range."""


@dataclass(frozen=True)
class Storage:
    """How weights are written."""

    bits: int
    block_size: int | None
    """At most so many weights of one output share a scale; None: all of them."""
    symmetric: bool


Round = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray, "np.ndarray | None"]]
"""From blocks of weights, and the axis along which those of a block stand, to codes, scales and zero points."""


def store_weights(
    model: ModelProto, layers: Collection[str], storage: Storage, rounding: Mapping[str, Round] | None = None
) -> int:
    """Write the float weights of ``layers`` in ``model`` as integers, and return how many tensors became smaller.

    Args:
        rounding: weight -> how it is rounded; the others are rounded to nearest.
    """
    import onnx

    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    stored: dict[str, bool] = {}
    for node in (node for node in model.graph.node if node.name in layers):
        for index in WEIGHT_INPUTS.get(node.op_type, ()):
            tensor = tensors.get(node.input[index]) if index < len(node.input) else None
            if tensor is not None and tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 1:
                stored[tensor.name] = _has_inputs_first(node, index)
    if storage.bits == 4:
        raise_opset(model, INT4_OPSET)
        tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    nearest = partial(round_blocks, storage=storage)
    ways = {name: (rounding or {}).get(name, nearest) for name in stored}
    made = [_store(model, tensors[name], first, storage, ways[name]) for name, first in stored.items()]
    unpacking = [part for part in made if part]
    nodes = [*(node for part in unpacking for node in part), *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return len(unpacking)


def raise_opset(model: ModelProto, version: int) -> None:
    """Bring ``model`` to ONNX's operator set ``version`` at least."""
    import onnx.version_converter

    if next(opset.version for opset in model.opset_import if opset.domain == "") < version:
        model.CopyFrom(onnx.version_converter.convert_version(model, version))


def _has_inputs_first(node: NodeProto, index: int) -> bool:
    """Whether the weight is [inputs, outputs] and not [outputs, inputs...]."""
    if node.op_type == "Gemm":
        return not any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return node.op_type == "MatMul" and index == 1


def _store(
    model: ModelProto, tensor: TensorProto, inputs_first: bool, storage: Storage, rounded: Round
) -> list[NodeProto]:
    """Put integers in the place of ``tensor``; return the operators that unpack them, none where it saves nothing."""
    from onnx import numpy_helper

    weight = numpy_helper.to_array(tensor)
    blocks, axis = _cut(weight, inputs_first, storage.block_size)
    codes, scale, zero = rounded(blocks, axis)
    if storage.bits / 8 * codes.size + 2 * scale.size + OVERHEAD_BYTES >= weight.nbytes:
        return []
    parts = {"codes": _integers(codes, tensor.name + ".codes", storage)}
    parts["scale"] = numpy_helper.from_array(scale.astype(np.float16), tensor.name + ".scale")
    if zero is not None:
        parts["zero"] = _integers(zero, tensor.name + ".zero", storage)
    model.graph.initializer.remove(tensor)
    model.graph.initializer.extend(parts.values())
    nodes, constants = _unpacking(tensor.name, parts, blocks.shape, weight.shape, inputs_first)
    model.graph.initializer.extend(constants)
    return nodes


def _cut(weight: np.ndarray, inputs_first: bool, block_size: int | None) -> tuple[np.ndarray, int]:
    """Return ``weight`` in blocks, and the axis along which the weights of a block stand.

    [inputs, outputs] becomes [blocks, size, outputs], [outputs, inputs...] becomes [outputs, blocks, size]. The last
    block is filled up with zeros; blocks are as even as can be.
    """
    matrix = weight.reshape(-1, weight.shape[-1]) if inputs_first else weight.reshape(_rows(weight), -1)
    num_inputs = matrix.shape[0 if inputs_first else 1]
    count = 1 if block_size is None else math.ceil(num_inputs / block_size)
    size = math.ceil(num_inputs / count)
    if inputs_first:
        padded = np.pad(matrix, ((0, count * size - len(matrix)), (0, 0)))
        return padded.reshape(count, size, -1), 1
    padded = np.pad(matrix, ((0, 0), (0, count * size - matrix.shape[1])))
    return padded.reshape(len(matrix), count, size), 2


def _rows(weight: np.ndarray) -> int:
    """Outputs of a weight: [outputs, inputs...], for recurrent layers [directions, outputs, inputs]."""
    return int(weight.shape[0] * weight.shape[1] if weight.ndim == 3 and weight.shape[0] <= 2 else weight.shape[0])


def round_blocks(blocks: np.ndarray, axis: int, storage: Storage) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return codes, scales and zero points; of several ranges, a block takes the one of least squared error."""
    codes, scale, zero = _codes(blocks, axis, CLIPPINGS[0], storage)
    least = np.full_like(scale, np.inf)
    for clipping in CLIPPINGS:
        tried = _codes(blocks, axis, clipping, storage)
        error = (((tried[0] - tried[2]) * tried[1] - blocks) ** 2).sum(axis=axis, keepdims=True)
        better = error < least
        least = np.where(better, error, least)
        codes, scale, zero = (np.where(better, new, old) for new, old in zip(tried, (codes, scale, zero), strict=True))
    return codes, scale, None if storage.symmetric else zero


def _codes(
    blocks: np.ndarray, axis: int, clipping: float, storage: Storage
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    levels, smallest = 2**storage.bits - 1, np.finfo(np.float16).tiny
    if storage.symmetric:
        top = levels // 2
        reach = np.abs(blocks).max(axis=axis, keepdims=True) * clipping
        scale = np.maximum(reach / top, smallest).astype(np.float16).astype(np.float32)
        return to_codes(blocks, scale, 0, storage), scale, np.zeros_like(scale)
    low = np.minimum(blocks.min(axis=axis, keepdims=True), 0) * clipping
    high = np.maximum(blocks.max(axis=axis, keepdims=True), 0) * clipping
    scale = np.maximum((high - low) / levels, smallest).astype(np.float16).astype(np.float32)
    zero = np.clip(np.round(-low / scale), 0, levels)
    return to_codes(blocks, scale, zero, storage), scale, zero


def to_codes(weights: np.ndarray, scale: np.ndarray, zero: np.ndarray | float, storage: Storage) -> np.ndarray:
    """Return ``weights`` rounded to the nearest codes that ``storage`` has."""
    levels = 2**storage.bits - 1
    low, high = (-(levels // 2), levels // 2) if storage.symmetric else (0, levels)
    codes: np.ndarray = np.clip(np.round(weights / scale) + zero, low, high)
    return codes


def _integers(codes: np.ndarray, name: str, storage: Storage) -> TensorProto:
    import onnx

    kinds = {(8, True): "INT8", (8, False): "UINT8", (4, True): "INT4", (4, False): "UINT4"}
    kind = getattr(onnx.TensorProto, kinds[storage.bits, storage.symmetric])
    whole = codes.astype(np.int8 if storage.symmetric else np.uint8).ravel()
    return onnx.helper.make_tensor(name, kind, codes.shape, packed_bytes(whole, storage.bits), raw=True)


def packed_bytes(whole: np.ndarray, bits: int) -> bytes:
    """Return ``whole`` as ONNX stores it: of 4 bits, two share a byte, the first in its lower half."""
    if bits == 8:
        return whole.tobytes()
    even = np.pad(whole.view(np.uint8), (0, len(whole) % 2)) & 0xF
    return (even[::2] | even[1::2] << 4).tobytes()


def _unpacking(
    name: str, parts: dict[str, TensorProto], blocks: Iterable[int], shape: tuple[int, ...], inputs_first: bool
) -> tuple[list[NodeProto], list[TensorProto]]:
    """Return the operators that make the float tensor ``name`` [*shape] of ``parts``, and their constants."""
    import onnx
    from onnx.helper import make_node

    chain: list[NodeProto] = []
    constants: list[TensorProto] = []

    def apply(operator: str, inputs: list[str], **attributes: Any) -> str:
        output = f"{name}.{len(chain)}"
        chain.append(make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(*numbers: int) -> str:
        label = f"{name}.shape{len(constants)}"
        constants.append(onnx.numpy_helper.from_array(np.array(numbers, np.int64), label))
        return label

    floats = {part: apply("Cast", [tensor.name], to=onnx.TensorProto.FLOAT) for part, tensor in parts.items()}
    value = floats["codes"]
    if "zero" in floats:
        value = apply("Sub", [value, floats["zero"]])
    value = apply("Mul", [value, floats["scale"]])
    first, middle, last = blocks
    rows, columns = (first * middle, last) if inputs_first else (first, middle * last)
    if rows * columns != math.prod(shape):
        value = apply("Reshape", [value, constant(rows, columns)])
        kept, axis = (math.prod(shape) // columns, 0) if inputs_first else (math.prod(shape) // rows, 1)
        value = apply("Slice", [value, constant(0), constant(kept), constant(axis)])
    if tuple(blocks) != shape:
        apply("Reshape", [value, constant(*shape)])
    chain[-1].output[0] = name
    return chain, constants
