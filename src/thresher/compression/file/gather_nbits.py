"""Embeddings whose rows stay packed: ONNX Runtime's GatherBlockQuantized, which unpacks those that are looked up."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from thresher.compression.file.weight_packing import OVERHEAD_BYTES, Storage, packed_bytes, round_blocks

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

DOMAIN = "com.microsoft"


def pack_tables(model: ModelProto, layers: Collection[str], bits: int, block_size: int, symmetric: bool) -> int:
    """Pack the constant tables that those ``layers`` of ``model`` look rows up in; return how many they are.

    A table that another operator reads, too, is left as it is, and so is one that would not become smaller.
    """
    import onnx

    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    readers = [name for node in model.graph.node for name in node.input]
    count = 0
    for node in model.graph.node:
        table = tensors.get(node.input[0]) if node.op_type == "Gather" and node.name in layers else None
        if table is None or table.data_type != onnx.TensorProto.FLOAT or len(table.dims) != 2 or _axis(node):
            continue
        storage = Storage(bits, block_size, symmetric)
        if readers.count(table.name) == 1 and (parts := _pack(table, storage)):
            model.graph.initializer.remove(table)
            model.graph.initializer.extend(parts)
            codes, *others = (part.name for part in parts)
            node.input[:] = [codes, node.input[1], *others]
            node.op_type, node.domain = "GatherBlockQuantized", DOMAIN
            del node.attribute[:]
            settings = {"gather_axis": 0, "quantize_axis": 1, "block_size": block_size, "bits": bits}
            node.attribute.extend(onnx.helper.make_attribute(name, value) for name, value in settings.items())
            count += 1
    if count and not any(opset.domain == DOMAIN for opset in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(DOMAIN, 1))
    return count


def _axis(node: NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)


def _pack(table: TensorProto, storage: Storage) -> list[TensorProto]:
    """Return codes [V, D], scales [V, D / block size] and, of ranges that are not symmetric, zero points.

    Nothing where they are no smaller than the ``table``.
    """
    from onnx import TensorProto, helper, numpy_helper

    assert storage.block_size is not None
    weight = numpy_helper.to_array(table)
    rows, width = weight.shape
    num_blocks = -(-width // storage.block_size)
    padded = np.pad(weight, ((0, 0), (0, num_blocks * storage.block_size - width)))
    codes, scale, zero = round_blocks(padded.reshape(rows, num_blocks, storage.block_size), 2, storage)
    if storage.bits / 8 * weight.size + 4 * scale.size + OVERHEAD_BYTES >= weight.nbytes:
        return []
    codes = codes.reshape(rows, -1)[:, :width]
    kind = TensorProto.UINT8
    if storage.bits == 4:
        kind = TensorProto.INT4 if storage.symmetric else TensorProto.UINT4
    elif storage.symmetric:
        codes = codes + 128  # the operator has no signed bytes; without zero points 128 is 0

    def integers(values: np.ndarray, part: str) -> TensorProto:
        whole = values.astype(np.int8 if kind == TensorProto.INT4 else np.uint8).ravel()
        name = f"{table.name}.{part}"
        return helper.make_tensor(name, kind, values.shape, packed_bytes(whole, storage.bits), raw=True)

    parts = [integers(codes, "codes"), numpy_helper.from_array(scale[:, :, 0], f"{table.name}.scale")]
    return parts if zero is None else [*parts, integers(zero[:, :, 0], "zero")]
