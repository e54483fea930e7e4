"""Everything that is measured of one candidate, on the ONNX file that would be served."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import onnxruntime

from thresher.evaluation import Measurement
from thresher.evaluation.answers import JudgedAnswers
from thresher.evaluation.cost import Cost, measure_cost
from thresher.evaluation.decision import read_rule
from thresher.evaluation.footprint import Footprint, measure_footprint
from thresher.evaluation.latency import Latency, Timed, measure_latency
from thresher.evaluation.own_metrics import measure_own_metrics
from thresher.evaluation.quality import measure_quality
from thresher.modalities.decision import DecisionRule


@dataclass(frozen=True)
class Contender(Timed):
    """A model as it would be served, with the test split as its own encoder makes it.

    Attributes:
        outputs: what it says to the test split, float32 [N, K] or float64 [N, 1].
    """

    name: str
    outputs: np.ndarray

    @cached_property
    def rule(self) -> DecisionRule | None:
        """By which its file says that it has its classes; None where the likeliest class is the answer."""
        return read_rule(self.onnx_file)


class Evaluation(JudgedAnswers):
    """The figures of one candidate, each beside the reference's on the same samples and in the same rounds."""

    cost: Cost
    footprint: Footprint
    latencies: tuple[Latency, ...]
    machine: dict[str, str]
    onnxruntime_version: str
    measured_at: str

    def latency_of(self, metric: str) -> Latency:
        """Return the latency at the batch size that ``metric`` names, the first one where it names none."""
        size = int(metric.partition("_batch")[2] or self.latencies[0].batch_size)
        return next(latency for latency in self.latencies if latency.batch_size == size)

    @property
    def counted_costs(self) -> tuple[dict[str, float], dict[str, float]]:
        """What is counted and not timed, of the candidate and, as far as it is measured here, of the reference."""
        memory, energies = self.footprint, {each.batch_size: each.energy for each in self.latencies if each.energy}
        ours = {**self.cost.model_dump(), "peak_memory_bytes": memory.peak_memory_bytes}
        reference: dict[str, float] = {"peak_memory_bytes": memory.reference_peak_memory_bytes}
        for size, energy in energies.items():
            names = [f"energy_joules_batch{size}"] + ["energy_joules"] * (size == self.latencies[0].batch_size)
            ours |= dict.fromkeys(names, energy.joules)
            reference |= dict.fromkeys(names, energy.reference_joules)
        return ours, reference


def evaluate(
    candidate: Contender,
    reference: Contender,
    labels: np.ndarray,
    config: Measurement,
    machine: dict[str, str],
    class_names: tuple[str, ...] = (),
) -> Evaluation:
    """Measure one candidate against a reference.

    Args:
        candidate: who is measured.
        reference: the model that it is compared with, on the same test samples.
        labels: the test split's labels [N].
        config: threads, batch sizes, rounds.
        machine: what the figures are measured on, in words.
        class_names: of a classification, by which metrics of a class find it.

    Raises:
        CompressionError: an output that is not a finite number; a session whose memory cannot be measured.
    """
    rules = (candidate.rule, reference.rule)
    return Evaluation(
        candidate=candidate.name,
        reference=reference.name,
        quality=measure_quality(candidate.outputs, reference.outputs, labels, rules),
        own=measure_own_metrics(config.metrics, candidate.outputs, reference.outputs, labels, class_names, rules),
        cost=measure_cost(candidate.onnx_file, candidate.model_input),
        footprint=measure_footprint(candidate, reference, config),
        latencies=measure_latency(candidate, reference, config),
        machine=machine,
        onnxruntime_version=onnxruntime.__version__,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
