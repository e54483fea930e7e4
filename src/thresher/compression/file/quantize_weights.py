"""Integer weights in blocks; activations stay in float."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from thresher.compression.data import CalibrationData
from thresher.compression.file.layers import name_nodes
from thresher.compression.file.ort_preprocess import nothing_to_quantize
from thresher.compression.file.weight_packing import WEIGHT_INPUTS, Storage, store_weights
from thresher.compression.layer_names import match_layers
from thresher.config import KindConfig

if TYPE_CHECKING:
    from onnx import ModelProto


class QuantizeWeights(KindConfig):
    """Weights of 8 or 4 bits with one scale for each block of them; needs no calibration."""

    kind: Literal["quantize_weights"] = "quantize_weights"
    bits: Literal[4, 8] = 8
    block_size: int = Field(default=64, ge=16, le=65_536)
    """At most so many weights of one output share a scale. Small blocks cost bytes and save accuracy."""
    symmetric: bool = True
    """No zero points: 0 is in the middle of each block's range."""
    unpack: Literal["at_load", "at_call"] = "at_load"
    """at_load: all weights become float when the model is loaded, so that the file is small and the model as fast, and
    as large in memory, as float. at_call: those of matrix products stay packed in memory (ONNX Runtime's MatMulNBits),
    for large Transformers; all else stays in float."""
    keep_float: tuple[str, ...] = ()
    """Layers that are left as they are, by name; * and ? stand for any letters."""

    @model_validator(mode="after")
    def _has_an_operator(self) -> QuantizeWeights:
        if self.unpack == "at_call" and self.block_size & (self.block_size - 1):
            raise ValueError(f"with unpack: at_call, block_size is a power of 2; got {self.block_size}")
        return self


def quantize_weights(onnx_file: bytes, config: QuantizeWeights, data: CalibrationData) -> bytes:
    """Return the float ``onnx_file`` with integer weights; small tensors, where it would save nothing, stay in float.

    At load, a block's range is the one of 17 clipped ranges that has the least squared error.

    Raises:
        CompressionError: no weights that it would make smaller, or a name in `keep_float` that no layer has.
    """
    import onnx

    model = onnx.load_from_string(onnx_file)
    name_nodes(model)
    weighted = _weighted(model)
    where = f"{data.candidate}: {config.kind}.keep_float"
    layers = set(weighted) - match_layers(config.keep_float, weighted, where)
    if config.unpack == "at_call":
        from thresher.compression.file.matmul_nbits import pack_products

        count = pack_products(model, layers, config.bits, config.block_size, config.symmetric)
    else:
        count = store_weights(model, layers, Storage(config.bits, config.block_size, config.symmetric))
    if count == 0:
        raise nothing_to_quantize(config.kind, data.candidate)
    return bytes(model.SerializeToString())


def _weighted(model: ModelProto) -> list[str]:
    """Return the names of all operators that may have weights."""
    tensors = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) > 1}
    return [
        node.name
        for node in model.graph.node
        if any(node.input[index] in tensors for index in WEIGHT_INPUTS.get(node.op_type, ()) if index < len(node.input))
    ]
