"""Of several draws and methods the one is taken that harms the answers on validation least; it is said."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from thresher.compression.calibration import choose_calibration_inputs, read_trace, trace_of
from thresher.compression.data import CalibrationData
from thresher.compression.file.layer_sensitivity import measure_damage
from thresher.compression.file.profiling import run_file
from thresher.compression.file.quantize_static import QuantizeStatic, quantize_static
from thresher.events import Step, subscribe
from thresher.modalities.samples import Samples

FEW = {"calibration_samples": 8}
"""So few that it matters which."""


@pytest.fixture
def judged(calibration_data: CalibrationData) -> CalibrationData:
    """The same data with a validation split, the last 200 samples."""
    samples = calibration_data.training_samples
    assert isinstance(samples, Samples)
    training, validation = samples.take(np.arange(len(samples) - 200)), samples.take(np.arange(-200, 0))
    return dataclasses.replace(calibration_data, training_samples=training, validation_samples=validation)


def damage(onnx_file: bytes, quantized: bytes, data: CalibrationData) -> float:
    assert data.validation_samples is not None
    inputs = data.validation_samples.inputs
    return measure_damage(run_file(onnx_file, inputs, data), run_file(quantized, inputs, data))


def with_draw(draw: int, data: CalibrationData) -> CalibrationData:
    """Data of which the first draw takes all samples, and these are those of the ``draw``."""
    random = np.random.default_rng([data.seed, draw] if draw else data.seed)
    total = len(data.training_samples)
    places = np.sort(random.choice(total, 8, replace=False))
    samples = data.training_samples
    assert isinstance(samples, Samples)
    return dataclasses.replace(data, training_samples=samples.take(places), validation_samples=None)


@pytest.mark.oddity(
    "Compression and training",
    "int8 whose accuracy hangs on the calibration samples",
    "The best of some draws and methods by validation; the spread is said",
)
def test_the_draw_that_harms_least_is_taken_and_the_spread_is_said(float_onnx: bytes, judged: CalibrationData) -> None:
    said: list[str] = []
    leave = subscribe(lambda event: said.append(event.text) if isinstance(event, Step) else None)
    chosen = quantize_static(float_onnx, QuantizeStatic(**FEW, calibration="minmax", draws=4), judged)
    leave()
    alone = [
        quantize_static(float_onnx, QuantizeStatic(**FEW, calibration="minmax"), with_draw(draw, judged))
        for draw in range(4)
    ]
    damages = [damage(float_onnx, file, judged) for file in alone]
    best = int(np.argmin(damages))
    assert len(set(damages)) > 1
    assert damage(float_onnx, chosen, judged) == pytest.approx(min(damages))
    trace = read_trace(chosen)
    assert trace["sha256"] == trace_of(choose_calibration_inputs(8, judged, best), judged)["sha256"]
    words = (
        f"minmax of draw {best + 1}, chosen of 4 on validation: damage {min(damages):.2g} of up to {max(damages):.2g}"
    )
    assert trace["chosen"].startswith(words)
    assert ", accuracy 0." in trace["chosen"] or ", accuracy 1." in trace["chosen"]
    assert said == [f"quantize_static: {trace['chosen']}"]


def test_auto_tries_both_methods_and_then_draws_of_the_better_one(float_onnx: bytes, judged: CalibrationData) -> None:
    chosen = quantize_static(float_onnx, QuantizeStatic(**FEW), judged)
    assert "chosen of 4 on validation" in read_trace(chosen)["chosen"]
    minmax = quantize_static(float_onnx, QuantizeStatic(**FEW, calibration="minmax", draws=1), judged)
    assert damage(float_onnx, chosen, judged) <= damage(float_onnx, minmax, judged)
    assert chosen == quantize_static(float_onnx, QuantizeStatic(**FEW), judged)


@pytest.mark.parametrize("config", [{"calibration": "percentile", "draws": 1, **FEW}, {"calibration": "minmax"}])
def test_what_the_recipe_fixes_is_not_chosen(
    config: dict[str, Any], float_onnx: bytes, judged: CalibrationData
) -> None:
    # All training samples are the same ones at each draw.
    config = {"calibration_samples": len(judged.training_samples), **config}
    file = quantize_static(float_onnx, QuantizeStatic(**config), judged)
    assert "chosen" not in read_trace(file)
    without = dataclasses.replace(judged, validation_samples=None)
    assert file == quantize_static(float_onnx, QuantizeStatic(**config), without)


def test_without_validation_it_is_the_first_draw_of_minmax(
    float_onnx: bytes, calibration_data: CalibrationData
) -> None:
    one = quantize_static(float_onnx, QuantizeStatic(**FEW), calibration_data)
    assert one == quantize_static(float_onnx, QuantizeStatic(**FEW, calibration="minmax", draws=1), calibration_data)
