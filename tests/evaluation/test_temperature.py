"""Temperature scaling: the number with the least log loss, inside of the graph, whatever the graph ends in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx
import pytest
from numpy.testing import assert_allclose
from scipy.special import log_softmax, softmax

from thresher.compression.apply import apply_steps
from thresher.compression.data import CalibrationData
from thresher.compression.file.float16 import Half
from thresher.compression.file.quantize_static import QuantizeStatic
from thresher.errors import CompressionError
from thresher.evaluation.probability_metrics import expected_calibration_error
from thresher.evaluation.report.reliability import reliability_curve
from thresher.evaluation.runtime import open_session, predict
from thresher.evaluation.temperature import TEMPERATURE, calibrate, fit_temperature, undo, with_temperature
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.samples import EncodedSamples
from thresher.onnx_graph import read_note


@dataclass(frozen=True)
class Drawn:
    logits: np.ndarray
    labels: np.ndarray


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    """Labels that are drawn by the softmax of a third of the logits: these are three times too sure."""
    random = np.random.default_rng(1)
    logits = random.normal(size=(4000, 3)) * 6
    cumulated = softmax(logits / 3, axis=1).cumsum(axis=1)
    labels = (random.random((4000, 1)) > cumulated).sum(axis=1)
    return Drawn(logits, labels)


def answers(onnx_file: bytes, samples: EncodedSamples, model_input: ImageInput) -> np.ndarray:
    return predict(open_session(onnx_file, 1), samples.inputs, model_input)


def ending_otherwise(onnx_file: bytes) -> bytes:
    """Return the graph with an operator behind its softmax, as graphs from elsewhere have."""
    model = onnx.load_from_string(onnx_file)
    model.graph.node[-1].output[0] = "inner"
    model.graph.node.append(onnx.helper.make_node("Identity", ["inner"], [model.graph.output[0].name], "last"))
    return bytes(model.SerializeToString())


def test_the_temperature_is_the_one_that_the_labels_were_drawn_by(drawn: Drawn) -> None:
    found = fit_temperature(drawn.logits, drawn.labels)
    assert found == pytest.approx(3, rel=0.1)

    def loss(temperature: float) -> float:
        scores = log_softmax(drawn.logits / temperature, axis=1)
        return float(-scores[np.arange(len(drawn.labels)), drawn.labels].mean())

    assert loss(found) < min(loss(0.999 * found), loss(1.001 * found))


def test_no_temperature_is_made_up_where_the_samples_bound_none(drawn: Drawn) -> None:
    assert fit_temperature(drawn.logits, drawn.logits.argmax(axis=1)) is None
    assert fit_temperature(drawn.logits, drawn.logits.argmin(axis=1)) is None


@pytest.mark.parametrize("kind", ["float", "int8", "half", "ending otherwise"])
def test_the_file_answers_with_calibrated_probabilities_and_the_same_classes(
    float_onnx: bytes, calibration_data: CalibrationData, digits: object, grey: ImageInput, kind: str
) -> None:
    steps = {"int8": (QuantizeStatic(calibration_samples=64),), "half": (Half(),)}.get(kind, ())
    given = apply_steps(steps, float_onnx, calibration_data) if steps else float_onnx
    given = ending_otherwise(given) if kind == "ending otherwise" else given
    samples: EncodedSamples = digits.validation  # type: ignore[attr-defined]
    calibrated, report = calibrate(given, samples, grey, 1, kind)
    before, after = (answers(each, samples, grey) for each in (given, calibrated))
    assert report.temperature != 1 and report.log_loss[1] < report.log_loss[0]
    assert read_note(calibrated, TEMPERATURE) == repr(report.temperature)
    assert_allclose(after, softmax(np.log(before.astype(np.float64)) / report.temperature, axis=1), atol=1e-5)
    assert (before.argmax(axis=1) == after.argmax(axis=1)).all()
    assert_allclose(undo(after, report.temperature), before, atol=1e-5)
    assert report.expected_calibration_error[1] == pytest.approx(
        expected_calibration_error(after, samples.labels), abs=1e-6
    )
    assert {value.name for value in onnx.load_from_string(calibrated).graph.output} == {"probabilities"}


def test_a_model_that_is_always_right_is_left_as_it_is_and_that_is_said(
    float_onnx: bytes, digits: object, grey: ImageInput
) -> None:
    samples: EncodedSamples = digits.validation  # type: ignore[attr-defined]
    right = replace(samples, labels=answers(float_onnx, samples, grey).argmax(axis=1))
    calibrated, report = calibrate(float_onnx, right, grey, 1, "float")
    assert calibrated == float_onnx and report.temperature == 1
    assert report.sentence.startswith(f"not calibrated: {len(samples)} of {len(samples)} validation samples are right")


def test_a_candidate_without_finite_logits_has_its_reason(float_onnx: bytes, digits: object, grey: ImageInput) -> None:
    samples: EncodedSamples = digits.validation  # type: ignore[attr-defined]
    broken = onnx.load_from_string(with_temperature(float_onnx, 2.0))
    (factor,) = [tensor for tensor in broken.graph.initializer if tensor.name == "thresher_temperature_factor"]
    factor.CopyFrom(onnx.numpy_helper.from_array(np.array(np.nan, np.float32), factor.name))
    with pytest.raises(CompressionError, match="validation samples with no finite number"):
        calibrate(broken.SerializeToString(), samples, grey, 1, "broken")


def test_the_reliability_curve_adds_up_to_the_calibration_error(drawn: Drawn) -> None:
    probabilities = softmax(drawn.logits, axis=1)
    curve = reliability_curve("drawn", probabilities, drawn.labels)
    some = curve.counts > 0
    gaps = np.abs(curve.right - curve.sure)[some] * curve.counts[some] / len(drawn.labels)
    assert gaps.sum() == pytest.approx(curve.error) and curve.error > 0.1
    assert curve.counts.sum() == len(drawn.labels)
    assert reliability_curve("honest", undo(probabilities, 1 / 3), drawn.labels).error < 0.03
