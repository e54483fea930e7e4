"""Temperature scaling: one number by which a classifier's logits are divided, inside of its ONNX file.

Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017. Which class is the likeliest stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from thresher.config import Config
from thresher.evaluation.probability_metrics import expected_calibration_error, log_loss
from thresher.evaluation.quality import require_finite
from thresher.evaluation.runtime import open_session, predict
from thresher.modalities.samples import EncodedSamples
from thresher.onnx_graph import with_note

if TYPE_CHECKING:
    from onnx import ModelProto

    from thresher.modalities.model_input import ModelInput

TEMPERATURE = "thresher.temperature"
"""The key of a file's metadata that has what its logits are divided by."""
LOWEST, HIGHEST = 0.05, 20.0
"""Temperatures that are looked at. Where the best one lies beyond, the samples do not say which it is."""
PREFIX = "thresher_temperature_"
"""How the names of the operators and tensors begin that are put in."""


class Calibration(Config):
    """The temperature of one candidate, and what it does to the probabilities on the validation split."""

    candidate: str
    temperature: float = Field(gt=0)
    """1 where the samples do not bound it: see `reason`."""
    reason: str = ""
    """Why the probabilities were left as they are, where they were."""
    num_samples: int
    log_loss: tuple[float, float]
    """Before and after, in nats."""
    expected_calibration_error: tuple[float, float]
    """Before and after."""

    @property
    def sentence(self) -> str:
        """What was found, in one sentence."""
        if self.reason:
            return f"not calibrated: {self.reason}"
        figures = (("log loss", self.log_loss), ("calibration error", self.expected_calibration_error))
        changes = ", ".join(f"{name} {before:.4f} to {after:.4f}" for name, (before, after) in figures)
        return f"temperature {self.temperature:.3f} by {self.num_samples:,} validation samples: {changes}"


def calibrate(
    onnx_file: bytes, samples: EncodedSamples, model_input: ModelInput, threads: int, candidate: str
) -> tuple[bytes, Calibration]:
    """Return the classifier ``onnx_file`` with calibrated probabilities, and what that did on ``samples``.

    Args:
        samples: those of the validation split, which neither training nor the verdict learns from.

    Raises:
        CompressionError: answers that are no finite numbers.
    """
    logits = predict(open_session(_logits_file(onnx_file), threads), samples.inputs, model_input).astype(np.float64)
    require_finite(logits, "validation")
    temperature = fit_temperature(logits, samples.labels)
    before, after = (_softmax(logits / each) for each in (1.0, temperature or 1.0))
    report = Calibration(
        candidate=candidate,
        temperature=temperature or 1.0,
        reason="" if temperature else _why_unbounded(before, samples),
        num_samples=len(samples),
        log_loss=(log_loss(before, samples.labels), log_loss(after, samples.labels)),
        expected_calibration_error=(
            expected_calibration_error(before, samples.labels),
            expected_calibration_error(after, samples.labels),
        ),
    )
    return (onnx_file if temperature is None else with_temperature(onnx_file, temperature)), report


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float | None:
    """Return the temperature with the least log loss of ``logits``, float64 [N, K], on ``labels``, int64 [N].

    The log loss is convex in the reciprocal of the temperature, so that its derivative has one zero at most.

    Returns: None where that does not lie between 0.05 and 20: all samples are right, or they are as good as by chance.
    """
    from scipy.optimize import brentq

    right = logits[np.arange(len(labels)), labels]

    def derivative(factor: float) -> float:
        return float(((_softmax(factor * logits) * logits).sum(axis=1) - right).mean())

    if derivative(1 / HIGHEST) >= 0 or derivative(1 / LOWEST) <= 0:
        return None
    return 1 / float(brentq(derivative, 1 / HIGHEST, 1 / LOWEST, xtol=1e-9))


def with_temperature(onnx_file: bytes, temperature: float) -> bytes:
    """Return ``onnx_file`` with its logits divided by ``temperature`` before its softmax."""
    import onnx

    model = onnx.load_from_string(onnx_file)
    softmax, logits = _softmax_of(model)
    factor = f"{PREFIX}factor"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(1 / temperature, np.float32), factor))
    scaled = onnx.helper.make_node("Mul", [logits, factor], [f"{PREFIX}logits"], f"{PREFIX}mul")
    softmax.input[0] = scaled.output[0]
    model.graph.node.insert(list(model.graph.node).index(softmax), scaled)
    onnx.checker.check_model(model)
    return with_note(bytes(model.SerializeToString()), TEMPERATURE, repr(temperature))


def undo(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return what ``probabilities`` [N, K] were before they were calibrated by ``temperature``.

    One that float32 has as 0 becomes what the smallest number was.
    """
    smallest = np.finfo(np.float32).tiny
    return _softmax(np.log(np.maximum(probabilities.astype(np.float64), smallest)) * temperature)


def _logits_file(onnx_file: bytes) -> bytes:
    """Return the graph that answers logits, float32 [N, K], and nothing else."""
    import onnx

    model = onnx.load_from_string(onnx_file)
    _, logits = _softmax_of(model)
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info(logits, onnx.TensorProto.FLOAT, ["batch", "classes"]))
    return bytes(model.SerializeToString())


def _softmax_of(model: ModelProto):  # type: ignore[no-untyped-def]  # onnx.NodeProto, and its input's name
    """Return the softmax that gives the output of ``model``, and the name of the logits that it takes, float32.

    Where another operator gives it, as in some graphs from elsewhere, the logarithm of the probabilities and a softmax
    are put behind it: logits are those, but for a constant that no softmax sees.
    """
    from onnx import helper, numpy_helper

    graph, (output,) = model.graph, model.graph.output
    (last,) = [node for node in graph.node if output.name in node.output]
    if last.op_type == "Softmax" and last.domain in ("", "ai.onnx"):
        return last, last.input[0]
    smallest, inner = f"{PREFIX}smallest", f"{PREFIX}probabilities"
    graph.initializer.append(numpy_helper.from_array(np.array(np.finfo(np.float32).tiny, np.float32), smallest))
    last.output[list(last.output).index(output.name)] = inner
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == output.name:
                node.input[place] = inner
    graph.node.extend(
        [
            helper.make_node("Max", [inner, smallest], [f"{PREFIX}positive"], f"{PREFIX}max"),
            helper.make_node("Log", [f"{PREFIX}positive"], [f"{PREFIX}log"], f"{PREFIX}log"),
            helper.make_node("Softmax", [f"{PREFIX}log"], [output.name], f"{PREFIX}softmax", axis=1),
        ]
    )
    return graph.node[-1], f"{PREFIX}log"


def _softmax(logits: np.ndarray) -> np.ndarray:
    from scipy.special import softmax

    found: np.ndarray = softmax(logits, axis=1)
    return found


def _why_unbounded(probabilities: np.ndarray, samples: EncodedSamples) -> str:
    right = int((probabilities.argmax(axis=1) == samples.labels).sum())
    where = f"{right:,} of {len(samples):,} validation samples are right"
    return f"{where}, and no temperature from {LOWEST:g} to {HIGHEST:g} has the least log loss"
