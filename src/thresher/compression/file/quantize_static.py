"""Integer weights and activations, with scales fixed by calibration."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import product
from typing import Literal, get_args

import numpy as np
from pydantic import Field, model_validator

from thresher.compression.calibration import choose_calibration_inputs, choose_held_inputs, trace_of
from thresher.compression.data import CalibrationData
from thresher.compression.file.calibration_choice import METHODS, Way, choose_calibration
from thresher.compression.file.float_layers import keep_in_float
from thresher.compression.file.layer_sensitivity import HELD_SAMPLES, choose_float_layers, damage_on
from thresher.compression.file.layers import FEW_CHANNELS, convolutions, quantizable_layers
from thresher.compression.file.ort_preprocess import check_quantized
from thresher.compression.file.ort_quantizer import Calibration, IntegerFormat, Quantizer, Sign, open_quantizer
from thresher.compression.file.profiling import compare_times
from thresher.compression.file.weight_packing import Storage, store_weights
from thresher.compression.layer_names import match_layers
from thresher.compression.reduce_range import needs_reduced_range
from thresher.config import KindConfig
from thresher.events import Step, emit
from thresher.onnx_integers import write_calibration

FloatConvolutions = Literal["none", "few_channels", "all"]


class QuantizeStatic(KindConfig):
    """QDQ int8: weights with one scale a channel, activations with scales from training samples, biases in int32.

    Embeddings have one scale each. LSTMs and GRUs stay in float: ONNX Runtime has none with fixed scales. What is
    `auto` is timed on this machine, so that another machine may make another file; `keep_float: auto` is not timed.
    """

    kind: Literal["quantize_static"] = "quantize_static"
    calibration_samples: int = Field(default=512, ge=1, le=1_000_000)
    """Training samples that the activations' ranges are read from; all of them where there are fewer."""
    calibration: Calibration | Literal["auto"] = "auto"
    """How a range is read from them; auto: minmax or percentile, whichever harms the answers on the validation split
    less."""
    draws: int = Field(default=3, ge=1, le=100)
    """How many draws of calibration samples are tried; the one that harms those answers least is taken."""
    per_channel: bool = True
    """One scale for each output channel of a weight, not one for all."""
    symmetric: bool = False
    """Activations' ranges are symmetric around 0."""
    activations: Sign | Literal["auto"] = "unsigned"
    """Bytes of activations; auto takes what is faster."""
    weights: Sign | Literal["auto"] = "signed"
    """Bytes of weights; auto takes what is faster. Unsigned ones need unsigned activations."""
    reduced_range: bool | Literal["auto"] = "auto"
    """Weights of 7 bits; auto: where signed ones of 8 overflow, which is on x86 without VNNI."""
    float_convolutions: FloatConvolutions | Literal["auto"] = "few_channels"
    """Which convolutions are computed in float, from weights that are stored as int8 and unpacked at load. ONNX
    Runtime's integer convolution is slow where channels are few; few_channels: those of at most 4 input channels;
    auto takes what is fastest."""
    keep_float: tuple[str, ...] | Literal["auto"] = ()
    """Layers that are not quantized at all, by name; * and ? stand for any letters. auto: those that harm most, until
    `max_damage` is kept."""
    max_damage: float = Field(default=0.001, gt=0)
    """With `keep_float: auto`: of the answers against float, on training samples: the mean Kullback-Leibler divergence
    in nats; for values, the mean squared difference as a share of their variance."""
    max_float_layers: int = Field(default=4, ge=1, le=1000)
    """With `keep_float: auto`: how many at most."""

    @model_validator(mode="after")
    def _has_a_format(self) -> QuantizeStatic:
        if self.activations == "signed" and self.weights == "unsigned":
            raise ValueError("ONNX Runtime has no unsigned weights with signed activations")
        return self

    @property
    def is_timed(self) -> bool:
        """Whether the file depends on the machine's speed."""
        return "auto" in (self.activations, self.weights, self.float_convolutions)


def quantize_static(onnx_file: bytes, config: QuantizeStatic, data: CalibrationData) -> bytes:
    """Return the float ``onnx_file`` in QDQ form, with the hash of the calibration inputs in its metadata.

    Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference", CVPR 2018, as ONNX Runtime implements it.

    Raises:
        CompressionError: a file without any operator that can be quantized, no training samples, or a name in
            `keep_float` that no layer has.
    """
    import onnx

    way, words = _choose_calibration(onnx_file, config, data)
    inputs = choose_calibration_inputs(config.calibration_samples, data, way.draw)
    with open_quantizer(onnx_file, way.method, inputs, data) as quantizer:
        kept = _named(config, quantizer, data)
        form, unpacked = _choose_format(config, quantizer, kept, inputs, data)
        if config.keep_float == "auto":
            held = choose_held_inputs(HELD_SAMPLES, config.calibration_samples, data, way.draw)
            kept = _most_harmful(config, quantizer, form, unpacked, damage_on(onnx_file, held, data))
        model = onnx.load_from_string(_quantize(quantizer, form, kept, unpacked))
    check_quantized(model, config.kind, data)
    write_calibration(model, {**trace_of(inputs, data), **({"chosen": words} if words else {})})
    return bytes(model.SerializeToString())


def _choose_calibration(onnx_file: bytes, config: QuantizeStatic, data: CalibrationData) -> tuple[Way, str]:
    """Return how ranges are read, as judged by files of the first format, and what there is to say of the choice."""

    def quantize(quantizer: Quantizer) -> bytes:
        unpacked = _convolutions(quantizer, _ways(config)[0])
        return _quantize(quantizer, _formats(config)[0], _named(config, quantizer, data), unpacked)

    methods = METHODS if config.calibration == "auto" else (config.calibration,)
    return choose_calibration(onnx_file, methods, config.draws, config.calibration_samples, quantize, data)


def _named(config: QuantizeStatic, quantizer: Quantizer, data: CalibrationData) -> set[str]:
    """Return the layers that the recipe keeps in float by their names."""
    named = () if config.keep_float == "auto" else config.keep_float
    return match_layers(named, quantizable_layers(quantizer.model), f"{data.candidate}: {config.kind}.keep_float")


def _quantize(quantizer: Quantizer, form: IntegerFormat, kept: Collection[str], unpacked: Collection[str]) -> bytes:
    """Return the file with ``kept`` in float and ``unpacked`` computed in float from int8."""
    import onnx

    model = onnx.load_from_string(quantizer.quantize(form, {*kept, *unpacked}))
    keep_in_float(model, {*kept, *unpacked})
    store_weights(model, set(unpacked) - set(kept), Storage(bits=8, block_size=None, symmetric=True))
    return bytes(model.SerializeToString())


def _choose_format(
    config: QuantizeStatic, quantizer: Quantizer, kept: Collection[str], inputs: np.ndarray, data: CalibrationData
) -> tuple[IntegerFormat, list[str]]:
    """Return the format, and the convolutions to be computed in float; say what was timed."""
    choices: dict[str, tuple[IntegerFormat, list[str]]] = {}
    for form, which in product(_formats(config), _ways(config)):
        unpacked = _convolutions(quantizer, which)
        if (form, unpacked) not in choices.values():
            choices[f"{form}, {len(unpacked)} convolutions in float"] = (form, unpacked)
    if len(choices) == 1:
        return next(iter(choices.values()))
    files = {name: _quantize(quantizer, form, kept, unpacked) for name, (form, unpacked) in choices.items()}
    times = compare_times(files, inputs, data)
    best = min(times, key=times.__getitem__)
    rest = ", ".join(f"{share / times[best]:.2f}x with {name}" for name, share in times.items() if name != best)
    emit(Step(f"{config.kind}: {best} is the fastest of what was timed here; {rest}"))
    return choices[best]


def _formats(config: QuantizeStatic) -> list[IntegerFormat]:
    """Return the formats that may be taken, those left out that are numerically unsafe on this processor."""
    activations = get_args(Sign) if config.activations == "auto" else (config.activations,)
    weights = get_args(Sign) if config.weights == "auto" else (config.weights,)
    formats = []
    for activation, weight in product(activations, weights):
        overflows = weight == "signed" and needs_reduced_range()
        reduced = overflows if config.reduced_range == "auto" else config.reduced_range
        is_chosen_anyway = config.weights != "auto"
        if (activation, weight) != ("signed", "unsigned") and (is_chosen_anyway or reduced or not overflows):
            formats.append(IntegerFormat(activation, weight, reduced, config.per_channel, config.symmetric))
    return formats


def _ways(config: QuantizeStatic) -> tuple[FloatConvolutions, ...]:
    every: tuple[FloatConvolutions, ...] = get_args(FloatConvolutions)
    return every if config.float_convolutions == "auto" else (config.float_convolutions,)


def _convolutions(quantizer: Quantizer, which: FloatConvolutions) -> list[str]:
    if which == "none":
        return []
    return convolutions(quantizer.model, FEW_CHANNELS if which == "few_channels" else None)


def _most_harmful(
    config: QuantizeStatic,
    quantizer: Quantizer,
    form: IntegerFormat,
    unpacked: Collection[str],
    damage: Callable[[bytes], float],
) -> set[str]:
    kept, remaining = choose_float_layers(
        [name for name in quantizable_layers(quantizer.model) if name not in unpacked],
        lambda names: _quantize(quantizer, form, names, unpacked),
        damage,
        config.max_damage,
        config.max_float_layers,
    )
    emit(Step(f"{config.kind}: in float stay {', '.join(sorted(kept)) or 'no layers'}; damage {remaining:.2g}"))
    return kept
