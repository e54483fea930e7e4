"""Everything that is measured of one candidate, on the ONNX file that would be served."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import onnxruntime

from thresher.config import Config
from thresher.evaluation import Measurement
from thresher.evaluation.cost import Cost, measure_cost
from thresher.evaluation.latency import Latency, measure_latency
from thresher.evaluation.statistics import PairedCounts, count_pairs


@dataclass(frozen=True)
class Contender:
    """A model as it would be served.

    Attributes:
        probabilities: what it says to the test split, float32 [N, K].
    """

    name: str
    onnx_file: bytes
    probabilities: np.ndarray


class Evaluation(Config):
    """The figures of one candidate, each beside the reference's on the same samples and in the same rounds."""

    candidate: str
    reference: str
    accuracy: float
    reference_accuracy: float
    paired: PairedCounts
    agreement: float
    """Share of the test samples on which candidate and reference give the same class."""
    cost: Cost
    latencies: tuple[Latency, ...]
    machine: dict[str, str]
    onnxruntime_version: str
    measured_at: str

    def latency_of(self, metric: str) -> Latency:
        """Return the latency at the batch size that ``metric`` names, the first one where it names none."""
        size = int(metric.partition("_batch")[2] or self.latencies[0].batch_size)
        return next(latency for latency in self.latencies if latency.batch_size == size)


def evaluate(
    candidate: Contender,
    reference: Contender,
    inputs: np.ndarray,
    labels: np.ndarray,
    config: Measurement,
    machine: dict[str, str],
) -> Evaluation:
    """Measure one candidate against a reference.

    Args:
        candidate: who is measured.
        reference: the model that it is compared with.
        inputs: the test split's inputs [N, ...], for the timing.
        labels: the test split's labels [N].
        config: threads, batch sizes, rounds.
        machine: what the figures are measured on, in words.
    """
    correct = candidate.probabilities.argmax(1) == labels
    reference_correct = reference.probabilities.argmax(1) == labels
    return Evaluation(
        candidate=candidate.name,
        reference=reference.name,
        accuracy=float(correct.mean()),
        reference_accuracy=float(reference_correct.mean()),
        paired=count_pairs(reference_correct, correct),
        agreement=float((candidate.probabilities.argmax(1) == reference.probabilities.argmax(1)).mean()),
        cost=measure_cost(candidate.onnx_file),
        latencies=measure_latency(candidate.onnx_file, reference.onnx_file, inputs, config),
        machine=machine,
        onnxruntime_version=onnxruntime.__version__,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
