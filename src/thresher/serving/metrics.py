"""What the service counts, on BentoML's /metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thresher.modalities.outputs import ValueOutput
from thresher.serving.bundle import Bundle

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
LABELS = ["recipe", "model_version"]


class Metrics:
    """Predictions (by class, where there are classes), the time from request to answer, and how full batches are."""

    def __init__(self, bundle: Bundle, registry: CollectorRegistry | None = None) -> None:
        # BentoML sets where its workers share their counts before it starts one; imported earlier,
        # prometheus_client would count in this process alone.
        from prometheus_client import REGISTRY, Counter, Histogram

        registry = registry or REGISTRY
        who = (bundle.info.recipe, bundle.info.model_version)
        predictions = Counter(
            "thresher_predictions", "Samples predicted, by class.", [*LABELS, "label"], registry=registry
        )
        labels = bundle.encoder.class_names or (ValueOutput.name,)
        # Every class from the start: a rate over a counter that appears late misses its first count.
        self._predictions = [predictions.labels(*who, label) for label in labels]
        buckets = sorted({*SECONDS, bundle.info.max_latency_ms / 1000})
        self._seconds = Histogram(
            "thresher_request_seconds", "From decoded request to answer.", LABELS, buckets=buckets, registry=registry
        ).labels(*who)
        self._batch_size = Histogram(
            "thresher_batch_size", "Samples in one call of the model.", LABELS, buckets=BATCH_SIZES, registry=registry
        ).labels(*who)

    def count_request(self, class_indices: np.ndarray, seconds: float) -> None:
        """Count an answered request with the predicted classes, int64 [N]; all 0 where there are none."""
        for index, count in zip(*np.unique(class_indices, return_counts=True), strict=True):
            self._predictions[index].inc(int(count))
        self._seconds.observe(seconds)

    def count_batch(self, num_samples: int) -> None:
        """Count one call of the model."""
        self._batch_size.observe(num_samples)
