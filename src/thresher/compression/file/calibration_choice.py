"""Which draw of calibration samples, and which way to read ranges from them, keeps the answers best.

How accurate an integer file is hangs on it: that of a ResNet-20 on CIFAR-10 was 0.9148 to 0.9184 over draws of 512
samples. It is chosen on the validation split, of which no ranges are read; the test split has no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thresher.compression.calibration import choose_calibration_inputs
from thresher.compression.data import CalibrationData
from thresher.compression.file.layer_sensitivity import measure_damage
from thresher.compression.file.ort_quantizer import Calibration, Quantizer, open_quantizer
from thresher.compression.file.profiling import run_file
from thresher.events import Step, emit

if TYPE_CHECKING:
    from onnx import ModelProto

METHODS: tuple[Calibration, ...] = ("minmax", "percentile")
"""What auto tries. Entropy takes longer than both: it counts where a recipe names it."""
JUDGED_SAMPLES = 1000
"""The most samples of the validation split that a choice is judged on."""
MAX_BYTES = 2**29
"""The most bytes of activations, all of which ONNX Runtime holds when it reads percentiles: beyond it auto is
minmax."""
Quantize = Callable[[Quantizer], bytes]


class Way(NamedTuple):
    """How ranges are read: by a method, from a draw of samples, which counts from 0."""

    method: Calibration
    draw: int

    def __str__(self) -> str:
        return f"{self.method} of draw {self.draw + 1}"


@dataclass(frozen=True)
class Judged:
    """A file that one way has made.

    Attributes:
        damage: to the answers on the validation split, see `measure_damage`.
        accuracy: there; None of values.
    """

    damage: float
    accuracy: float | None


def choose_calibration(
    onnx_file: bytes, methods: Sequence[Calibration], draws: int, count: int, quantize: Quantize, data: CalibrationData
) -> tuple[Way, str]:
    """Return the way that harms the answers least, and how far all ways lay apart, in words; no words of a single one.

    All methods are tried on the first draw, the best of them on the others. Without validation samples it is the first
    method on the first draw.

    Args:
        count: samples of a draw.
        quantize: makes the file to be judged.
    """
    if count >= len(data.training_samples):
        draws = 1  # all are the same samples
    if data.validation_samples is None or not len(data.validation_samples) or len(methods) * draws == 1:
        return Way(methods[0], 0), ""
    judge = _judge(onnx_file, data)
    judged: dict[Way, Judged] = {}

    def look(ways: Sequence[Way]) -> Way:
        for way in ways:
            inputs = choose_calibration_inputs(count, data, way.draw)
            with open_quantizer(onnx_file, way.method, inputs, data) as quantizer:
                if way.method == METHODS[0] or len(methods) == 1 or _fits(quantizer.model, len(inputs)):
                    judged[way] = judge(quantize(quantizer))
        return min(judged, key=lambda way: judged[way].damage)

    best = look([Way(method, 0) for method in methods])
    best = look([Way(best.method, draw) for draw in range(1, draws)])
    words = _describe(best, judged)
    emit(Step(f"quantize_static: {words}"))
    return best, words


def _judge(onnx_file: bytes, data: CalibrationData) -> Callable[[bytes], Judged]:
    """Return the function from a quantized file to how it answers the validation split, or a part of it."""
    samples = data.validation_samples
    assert samples is not None
    chosen = np.random.default_rng(data.seed).permutation(len(samples))[:JUDGED_SAMPLES]
    inputs, labels = data.input.trim(samples.inputs[np.sort(chosen)]), samples.labels[np.sort(chosen)]
    expected = run_file(onnx_file, inputs, data)

    def judge(quantized: bytes) -> Judged:
        got = run_file(quantized, inputs, data)
        accuracy = float((got.argmax(axis=1) == labels).mean()) if samples.class_names else None
        return Judged(measure_damage(expected, got), accuracy)

    return judge


def _fits(model: ModelProto, count: int) -> bool:
    """Return whether the activations of ``model`` on ``count`` samples fit into memory, as far as sizes are known."""
    shapes = [value.type.tensor_type.shape.dim for value in model.graph.value_info]
    sizes = [[max(1, dimension.dim_value) for dimension in shape] for shape in shapes]
    return 4 * count * sum(int(np.prod(size)) for size in sizes) <= MAX_BYTES


def _describe(best: Way, judged: dict[Way, Judged]) -> str:
    damages = [each.damage for each in judged.values()]
    words = f"{best}, chosen of {len(judged)} on validation: damage {min(damages):.2g} of up to {max(damages):.2g}"
    accuracies = [each.accuracy for each in judged.values() if each.accuracy is not None]
    if accuracies:
        words += f", accuracy {judged[best].accuracy:.4f} of {min(accuracies):.4f} to {max(accuracies):.4f}"
    return words
