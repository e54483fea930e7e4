"""Integer weights in blocks; activations stay in float."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from thresher.compression.calibration import choose_held_inputs
from thresher.compression.data import CalibrationData
from thresher.compression.file.layer_sensitivity import HELD_SAMPLES, choose_float_layers, damage_on
from thresher.compression.file.layers import name_nodes
from thresher.compression.file.ort_preprocess import nothing_to_quantize
from thresher.compression.file.weight_packing import INT4_OPSET, WEIGHT_INPUTS, Storage, raise_opset, store_weights
from thresher.compression.layer_names import match_layers
from thresher.config import KindConfig
from thresher.events import Step, emit

if TYPE_CHECKING:
    import numpy as np
    from onnx import ModelProto


class QuantizeWeights(KindConfig):
    """Weights of 8 or 4 bits with one scale for each block of them."""

    kind: Literal["quantize_weights"] = "quantize_weights"
    bits: Literal[4, 8] = 8
    block_size: int = Field(default=64, ge=16, le=65_536)
    """At most so many weights of one output share a scale. Small blocks cost bytes and save accuracy."""
    symmetric: bool = True
    """No zero points: 0 is in the middle of each block's range."""
    unpack: Literal["at_load", "at_call"] = "at_load"
    """at_load: all weights become float when the model is loaded, so that the file is small and the model as fast, and
    as large in memory, as float. at_call: those of matrix products and embeddings stay packed in memory (ONNX Runtime's
    MatMulNBits and GatherBlockQuantized), for large Transformers; all else stays in float."""
    rounding: Literal["nearest", "gptq"] = "nearest"
    """gptq: those of matrix products are rounded one input after another, and each error is made up for by the inputs
    that are left, by what training samples have there; only with unpack: at_load."""
    calibration_samples: int = Field(default=128, ge=1, le=100_000)
    """With rounding: gptq: how many of them."""
    keep_float: tuple[str, ...] | Literal["auto"] = ()
    """Layers that are left as they are, by name; * and ? stand for any letters. auto: those that harm most, until
    `max_damage` is kept."""
    max_damage: float = Field(default=0.001, gt=0)
    """With `keep_float: auto`: of the answers against float, on training samples: the mean Kullback-Leibler divergence
    in nats; for values, the mean squared difference as a share of their variance."""
    max_float_layers: int = Field(default=4, ge=1, le=1000)
    """With `keep_float: auto`: how many at most."""

    @model_validator(mode="after")
    def _has_an_operator(self) -> QuantizeWeights:
        if self.unpack == "at_call" and self.block_size & (self.block_size - 1):
            raise ValueError(f"with unpack: at_call, block_size is a power of 2; got {self.block_size}")
        if self.rounding == "gptq" and self.unpack == "at_call":
            raise ValueError("rounding: gptq is for unpack: at_load; ONNX Runtime rounds what stays packed itself")
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
    moments = {}
    if config.rounding == "gptq":
        from thresher.compression.file.gptq import measure_moments

        moments = measure_moments(model, weighted, config.calibration_samples, data)

    def quantize(kept: Collection[str]) -> bytes | None:
        return _quantize(model, set(weighted) - set(kept), config, moments)

    if config.keep_float == "auto":
        kept = _most_harmful(onnx_file, weighted, lambda names: quantize(names) or onnx_file, config, data)
    else:
        kept = match_layers(config.keep_float, weighted, f"{data.candidate}: {config.kind}.keep_float")
    content = quantize(kept)
    if content is None:
        raise nothing_to_quantize(config.kind, data.candidate)
    return content


def _quantize(
    float_model: ModelProto, layers: set[str], config: QuantizeWeights, moments: dict[str, np.ndarray]
) -> bytes | None:
    """Return the file with integer weights in ``layers``; None where it would make none smaller."""
    model = type(float_model)()
    model.CopyFrom(float_model)
    if config.unpack == "at_call":
        from thresher.compression.file.gather_nbits import pack_tables
        from thresher.compression.file.matmul_nbits import pack_products

        if config.bits == 4:
            raise_opset(model, INT4_OPSET)
        count = pack_products(model, layers, config.bits, config.block_size, config.symmetric)
        count += pack_tables(model, layers, config.bits, config.block_size, config.symmetric)
    else:
        storage, rounding = Storage(config.bits, config.block_size, config.symmetric), {}
        if moments:
            from thresher.compression.file.gptq import round_by_moments

            rounding = {name: partial(round_by_moments, storage=storage, moments=own) for name, own in moments.items()}
        count = store_weights(model, layers, storage, rounding)
    return bytes(model.SerializeToString()) if count else None


def _most_harmful(
    onnx_file: bytes,
    layers: list[str],
    quantize: Callable[[set[str]], bytes],
    config: QuantizeWeights,
    data: CalibrationData,
) -> set[str]:
    held = choose_held_inputs(HELD_SAMPLES, config.calibration_samples, data)
    damage = damage_on(onnx_file, held, data)
    kept, remaining = choose_float_layers(layers, quantize, damage, config.max_damage, config.max_float_layers)
    emit(Step(f"{config.kind}: in float stay {', '.join(sorted(kept)) or 'no layers'}; damage {remaining:.2g}"))
    return kept


def _weighted(model: ModelProto) -> list[str]:
    """Return the names of all operators that may have weights."""
    tensors = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) > 1}
    return [
        node.name
        for node in model.graph.node
        if any(node.input[index] in tensors for index in WEIGHT_INPUTS.get(node.op_type, ()) if index < len(node.input))
    ]
