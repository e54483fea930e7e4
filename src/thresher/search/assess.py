"""What a chain comes to on the validation split: the ONNX file that it makes, judged as the verdict will judge it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from thresher.candidate_failure import CandidateFailure, attempt
from thresher.compression import Technique, works_on
from thresher.compression.apply import apply_steps
from thresher.compression.data import CalibrationData, CompressionData
from thresher.errors import CompressionError
from thresher.evaluation import Measurement
from thresher.evaluation.cost import measure_cost
from thresher.evaluation.latency import Timed, measure_latency
from thresher.evaluation.quality import measure_quality
from thresher.evaluation.runtime import open_session, predict
from thresher.export import check_parity, export_onnx
from thresher.modalities.samples import EncodedSamples
from thresher.models import FLOAT
from thresher.models.network import Network
from thresher.process_state import exclusive_access
from thresher.search.result import Assessed

CONFIDENCE = 0.95
ROUNDS, SECONDS = 10, 0.5
PARITY_SAMPLES = 64
Steps = tuple[Technique, ...]


@dataclass(frozen=True)
class Reference:
    """The float model that every chain is compared with.

    Attributes:
        p50: median time of a call, in milliseconds.
    """

    onnx_file: bytes
    samples: EncodedSamples
    outputs: np.ndarray
    p50: float


class Assessor:
    """Judges chains upon one network.

    Attributes:
        times: whether every chain is timed; finalists always are.
    """

    def __init__(
        self, base: Network, float_onnx_file: bytes, data: CompressionData, measurement: Measurement, times: bool
    ) -> None:
        self._base, self._data = base, data
        first = measurement.batch_sizes[:1]
        self._conditions = measurement.model_copy(update={"batch_sizes": first, "rounds": ROUNDS, "seconds": SECONDS})
        self._float_onnx_file, self.times = float_onnx_file, times
        self._exported: tuple[Steps, bytes] | None = None

    def reference(self, samples: EncodedSamples) -> Reference:
        """Return float on ``samples``."""
        outputs = self._predict(self._float_onnx_file, samples)
        timed = Timed(self._float_onnx_file, samples.inputs, self._data.input)
        with exclusive_access():
            (latency,) = measure_latency(timed, timed, self._conditions)
        return Reference(self._float_onnx_file, samples, outputs, latency.p50)

    def baseline(self, reference: Reference) -> Assessed:
        """Return float's own figures."""
        settings = {"candidate": FLOAT}
        return self._figures(self._float_onnx_file, reference, True, _Trial(-1, settings, (), True))

    def assess(
        self, number: int, settings: dict[str, Any], steps: Steps, reference: Reference, finetuned: bool
    ) -> Assessed:
        """Return what ``steps`` come to; a chain that cannot be made has its reason."""
        trial = _Trial(number, settings, steps, finetuned)
        began = time.perf_counter()

        def make() -> Assessed:
            onnx_file = self._make(steps)
            return self._figures(onnx_file, reference, self.times or finetuned, trial)

        made = attempt(self._data.candidate, "search", make, tries=1)
        seconds = time.perf_counter() - began
        if isinstance(made, CandidateFailure):
            return trial.assessed(reason=made.reason, seconds=seconds)
        return made.model_copy(update={"seconds": seconds})

    def _make(self, steps: Steps) -> bytes:
        """Return the ONNX file that ``steps`` make."""
        data = self._data
        on_network = tuple(step for step in steps if works_on(step) == "network")
        # Chains that differ in their end alone come one after another, and an export takes longest of all.
        if self._exported is None or self._exported[0] != on_network:
            network = apply_steps(on_network, self._base, data)
            onnx_file = export_onnx(network)
            check_parity(network, onnx_file, data.validation_samples.inputs[:PARITY_SAMPLES])
            self._exported = (on_network, onnx_file)
        calibration = CalibrationData(data.candidate, data.input, data.training_samples, data.training.seed)
        return apply_steps(steps[len(on_network) :], self._exported[1], calibration)

    def _figures(self, onnx_file: bytes, reference: Reference, timed: bool, trial: _Trial) -> Assessed:
        samples = reference.samples
        quality = measure_quality(self._predict(onnx_file, samples), reference.outputs, samples.labels)
        loss, cost = quality.loss(CONFIDENCE), measure_cost(onnx_file, self._data.input)
        costs = {"size_bytes": float(cost.size_bytes), "macs": float(cost.macs)}
        if timed:
            costs["latency_us"] = 1000 * reference.p50 * self._ratio(onnx_file, reference)
        return trial.assessed(metric=quality.figure, loss=loss.value, loss_upper=loss.upper, costs=costs)

    def _ratio(self, onnx_file: bytes, reference: Reference) -> float:
        """Return the time of a call over float's, in turns."""
        inputs, model_input = reference.samples.inputs, self._data.input
        ours, theirs = (Timed(file, inputs, model_input) for file in (onnx_file, reference.onnx_file))
        with exclusive_access():
            (latency,) = measure_latency(ours, theirs, self._conditions)
        if latency.unmeasured:
            raise CompressionError(f"latency {latency.unmeasured}")
        return latency.ratio

    def _predict(self, onnx_file: bytes, samples: EncodedSamples) -> np.ndarray:
        return predict(open_session(onnx_file, self._conditions.threads), samples.inputs, self._data.input)


@dataclass(frozen=True)
class _Trial:
    number: int
    settings: dict[str, Any]
    steps: Steps
    finetuned: bool

    def assessed(self, **figures: Any) -> Assessed:
        given = {"seconds": 0.0, **figures}
        return Assessed(number=self.number, settings=self.settings, steps=self.steps, finetuned=self.finetuned, **given)
