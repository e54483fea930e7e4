"""What quantizing each layer costs, in the model's own answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from thresher.compression.calibration import choose_calibration_inputs, choose_held_inputs
from thresher.compression.data import CalibrationData
from thresher.compression.file.layers import quantizable_layers
from thresher.compression.file.ort_quantizer import IntegerFormat, open_quantizer
from thresher.compression.file.profiling import run_file
from thresher.compression.reduce_range import needs_reduced_range

CALIBRATION_SAMPLES = 256
HELD_SAMPLES = 512
"""Training samples that answers are compared on; no ranges are read from them."""
SMALLEST = 1e-12


def quantization_sensitivity(onnx_file: bytes, data: CalibrationData) -> dict[str, float]:
    """Return layer -> the damage of quantizing it alone, as `measure_damage` does, in the order of the graph."""
    inputs = choose_calibration_inputs(CALIBRATION_SAMPLES, data)
    held = choose_held_inputs(HELD_SAMPLES, len(inputs), data)
    with open_quantizer(onnx_file, "minmax", inputs, data) as quantizer:
        form = IntegerFormat(reduced_range=needs_reduced_range())
        layers = quantizable_layers(quantizer.model)
        damage = damage_on(onnx_file, held, data)
        return measure_layers(layers, lambda kept: quantizer.quantize(form, kept), damage)


def measure_layers(
    layers: Sequence[str], quantize: Callable[[set[str]], bytes], damage: Callable[[bytes], float]
) -> dict[str, float]:
    """Return layer -> ``damage`` of the file in which it is the only one that is not left in float."""
    return {layer: damage(quantize(set(layers) - {layer})) for layer in layers}


def choose_float_layers(
    layers: Sequence[str],
    quantize: Callable[[set[str]], bytes],
    damage: Callable[[bytes], float],
    max_damage: float,
    max_layers: int,
) -> tuple[set[str], float]:
    """Return which layers to leave in float, the most harmful ones first, and the damage that remains.

    They are as few as bring it to ``max_damage``, ``max_layers`` at most. Layers that harm together may not be those
    that harm most alone, so that this is not the best choice of all, but takes one measurement a layer.
    """
    kept: set[str] = set()
    remaining = damage(quantize(kept))
    if remaining <= max_damage:
        return kept, remaining
    harm = measure_layers(layers, quantize, damage)
    for layer in sorted(layers, key=harm.__getitem__, reverse=True)[:max_layers]:
        kept.add(layer)
        remaining = damage(quantize(kept))
        if remaining <= max_damage:
            break
    return kept, remaining


def damage_on(onnx_file: bytes, inputs: np.ndarray, data: CalibrationData) -> Callable[[bytes], float]:
    """Return the function from a quantized file to its damage against the float ``onnx_file`` on ``inputs``."""
    expected = run_file(onnx_file, inputs, data)
    return lambda quantized: measure_damage(expected, run_file(quantized, inputs, data))


def measure_damage(expected: np.ndarray, got: np.ndarray) -> float:
    """Return how far the answers ``got`` are from ``expected``, both [N, K]; 0 is not at all.

    Of probabilities it is the mean Kullback-Leibler divergence KL(expected || got) in nats; of values, the mean
    squared difference as a share of the variance of ``expected``.
    """
    if expected.shape[1] > 1:
        logarithms = np.log(np.maximum(expected, SMALLEST)) - np.log(np.maximum(got, SMALLEST))
        return max(0.0, float((expected * logarithms).sum(axis=1).mean()))
    return float(((got - expected) ** 2).mean() / max(float(expected.var()), SMALLEST))
