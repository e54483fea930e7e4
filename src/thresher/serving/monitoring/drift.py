"""Drift: how far recent inputs and predictions are from the training split."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from thresher.modalities.decision import DecisionRule, choose_classes
from thresher.modalities.encoder import Encoder
from thresher.modalities.service import service_of
from thresher.serving.monitoring.profile import Histogram, Profile, population_stability_index

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""The folder in which prometheus_client keeps the files of several workers; BentoML sets it."""
SAMPLES_PER_SECOND = 100
"""The most samples that a worker records in a second: features cost more than a small model."""
BYTES_PER_SECOND = 4 * 2**20
"""The most bytes of samples that a worker records in a second, but always one sample."""
WINDOW = 1000
"""The samples of a window: at twice as many, all counts are halved, so that older samples fade."""
FEWEST = 200
"""The fewest samples for an index: with ten bins, chance alone makes 0.05 of so few."""


class Watched:
    """One feature and its recent distribution."""

    def __init__(self, expected: Histogram) -> None:
        self._expected, self.name = expected, expected.name
        self._counts = np.zeros(len(expected.counts))

    def observe(self, values: np.ndarray) -> None:
        """Count ``values`` [N]."""
        self._counts += self._expected.count(values)
        if self._counts.sum() >= 2 * WINDOW:
            self._counts /= 2

    @property
    def num_samples(self) -> float:
        """The samples in the window; a fraction after it was halved."""
        return float(self._counts.sum())

    @property
    def index(self) -> float | None:
        """The population stability index; None where too few samples were seen."""
        if self.num_samples < FEWEST:
            return None
        return population_stability_index(np.array(self._expected.counts), self._counts)


class Drift:
    """The drift of one worker's inputs and predictions; /metrics has the largest of all workers."""

    def __init__(
        self,
        encoder: Encoder,
        profile: Profile,
        labels: dict[str, str],
        registry: CollectorRegistry,
        rule: DecisionRule | None = None,
    ) -> None:
        from prometheus_client import Gauge

        def gauge(name: str, text: str, mode: Any, *more: str) -> Any:
            return Gauge(name, text, [*labels, *more], registry=registry, multiprocess_mode=mode)

        self._encoder, self._service, self._labels, self._rule = encoder, service_of(encoder), labels, rule
        self._features = [Watched(histogram) for histogram in profile.features]
        self._prediction = Watched(profile.prediction)
        text = "Population stability index of recent inputs against the training split; above 0.25 is a large change."
        self._input_psi = gauge("thresher_input_drift_psi", text, "livemax", "feature")
        text = "Population stability index of recent predictions against the training split's labels."
        self._prediction_psi = gauge("thresher_prediction_drift_psi", text, "livemax")
        text = "Recent inputs that the drift is computed from."
        self._num_samples = gauge("thresher_input_drift_samples", text, "livesum")
        self._share = max(1, min(SAMPLES_PER_SECOND, BYTES_PER_SECOND // encoder.model_input.sample_bytes))
        self._left, self._refilled = self._share, monotonic()
        forget_dead_workers()

    def observe(self, samples: np.ndarray, outputs: np.ndarray) -> None:
        """Count encoded ``samples`` [N, ...] and the model's ``outputs``, up to the number recorded in a second."""
        now = monotonic()
        if now - self._refilled >= 1:
            self._left, self._refilled = self._share, now
        num = min(len(samples), self._left)
        if num <= 0:
            return
        self._left -= num
        # In their order: profiles of before have the channels' numbers in place of their names.
        features = self._service.features(samples[:num]).values()
        for watched, values in zip(self._features, features, strict=True):
            watched.observe(values)
        answers = choose_classes(outputs[:num], self._rule) if self._encoder.class_names else outputs[:num, 0]
        self._prediction.observe(answers.astype(np.float64))

    def flush(self) -> None:
        """Set the gauges to the present indices."""
        self._num_samples.labels(**self._labels).set(self._prediction.num_samples)
        for watched in self._features:
            if watched.index is not None:
                self._input_psi.labels(**self._labels, feature=watched.name).set(watched.index)
        if self._prediction.index is not None:
            self._prediction_psi.labels(**self._labels).set(self._prediction.index)

    def close(self) -> None:
        """Remove this worker's gauges from /metrics."""
        forget_worker(os.getpid())


def forget_dead_workers() -> None:
    """Remove the gauges of killed workers from /metrics; prometheus_client would show them for ever."""
    folder = os.environ.get(SHARED)
    for file in Path(folder).glob("gauge_live*_*.db") if folder else ():
        process_id = int(file.stem.rsplit("_", 1)[1])
        if not psutil.pid_exists(process_id):
            forget_worker(process_id)


def forget_worker(process_id: int) -> None:
    """Remove a worker's gauges from /metrics; its counts stay."""
    if os.environ.get(SHARED):
        from prometheus_client import multiprocess

        mark_dead: Callable[[int], None] = multiprocess.mark_process_dead  # which has no types
        mark_dead(process_id)
