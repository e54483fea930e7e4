"""The service's metrics, on BentoML's /metrics.

prometheus_client keeps the counts of several worker processes in memory-mapped files, which costs more a request than
a small model does. So counts are kept in plain lists and written once a second.
"""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from thresher.modalities.decision import choose_classes
from thresher.modalities.outputs import ValueOutput
from thresher.serving.core.bundle import PROFILE_FILE, Bundle
from thresher.serving.monitoring.drift import Drift
from thresher.serving.monitoring.profile import Profile

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
PROTOCOLS = ("rest", "v2_rest", "grpc", "explain")
OUTCOMES = ("ok", "invalid", "overloaded", "deadline", "cancelled", "error")
LABELS = ["recipe", "model_version"]
FLUSH_SECONDS = 1.0


def own_metrics_folder() -> str:
    """Return the path of a new folder for the counts of the workers; it is deleted when this process ends."""
    folder = Path(tempfile.gettempdir()) / f"thresher-metrics-{uuid4().hex}"
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return str(folder)


class Tally:
    """The observations of one histogram since its last flush."""

    __slots__ = ("_bounds", "_counts", "_histogram", "_sum")

    def __init__(self, histogram: Any, bounds: tuple[float, ...]) -> None:
        self._histogram, self._bounds = histogram, bounds
        self._counts, self._sum = [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        """Count ``value`` in its bucket."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def flush(self) -> None:
        """Write what was counted into the histogram, whose buckets are the same."""
        if any(self._counts):
            counts, total = self._counts, self._sum
            self._counts, self._sum = [0] * len(counts), 0.0
            for bucket, count in zip(self._histogram._buckets, counts, strict=True):
                if count:
                    bucket.inc(count)
            self._histogram._sum.inc(total)


class Metrics:
    """Requests by protocol and outcome, their latency, the queue, the batches, and the predictions by class."""

    def __init__(self, bundle: Bundle, registry: CollectorRegistry | None = None) -> None:
        # BentoML sets where its workers share their counts before it starts one; imported earlier,
        # prometheus_client would count in this process alone.
        from prometheus_client import REGISTRY, Counter, Histogram

        registry = registry or REGISTRY
        who = (bundle.info.recipe, bundle.info.model_version)
        bounds = tuple(sorted({*SECONDS, bundle.info.max_latency_ms / 1000}))

        def counter(name: str, text: str, *labels: str) -> Any:
            return Counter(name, text, [*LABELS, *labels], registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Any:
            return Histogram(name, text, [*LABELS, *labels], buckets=buckets, registry=registry)

        # All labels from the start: a rate over a counter that appears late misses its first count.
        predictions = counter("thresher_predictions", "Samples predicted, by class.", "label")
        names = bundle.encoder.class_names or (ValueOutput.name,)
        self._predictions = [predictions.labels(*who, name) for name in names]
        self._num_predicted, self._rule = np.zeros(len(names), np.int64), bundle.info.decision
        requests = counter("thresher_requests", "Requests, by how they came and ended.", "protocol", "outcome")
        self._requests = {(p, o): requests.labels(*who, p, o) for p in PROTOCOLS for o in OUTCOMES}
        self._num_requests = dict.fromkeys(self._requests, 0)
        seconds = histogram(
            "thresher_request_seconds", "Seconds from the decoded request to its answer.", bounds, "protocol"
        )
        self._seconds = {p: Tally(seconds.labels(*who, p), bounds) for p in PROTOCOLS}
        queue = histogram("thresher_queue_seconds", "Seconds that the oldest request of a batch waited.", bounds)
        run = histogram("thresher_run_seconds", "Seconds of one call of the model.", bounds)
        size = histogram("thresher_batch_size", "Samples in one call of the model.", BATCH_SIZES)
        self._queue, self._run = Tally(queue.labels(*who), bounds), Tally(run.labels(*who), bounds)
        self._batch_size = Tally(size.labels(*who), BATCH_SIZES)
        self._timer: asyncio.TimerHandle | None = None
        profile = bundle.attachments.get(PROFILE_FILE)
        self._drift = None
        if profile:
            read = Profile.model_validate_json(profile)
            self._drift = Drift(bundle.encoder, read, dict(zip(LABELS, who, strict=True)), registry, self._rule)

    def count_request(self, protocol: str, outcome: str, seconds: float) -> None:
        """Count a request that ended with ``outcome``, ``seconds`` after it was decoded."""
        self._num_requests[protocol, outcome] += 1
        if outcome == "ok":
            self._seconds[protocol].add(seconds)

    def count_answers(self, outputs: np.ndarray) -> None:
        """Count the predictions of a batch, probabilities [N, K] or values [N, 1]."""
        if len(outputs) == 1 and self._rule is None:  # most often, and a third of what the rest takes
            self._num_predicted[outputs[0].argmax()] += 1
        else:
            classes = choose_classes(outputs, self._rule)
            self._num_predicted += np.bincount(classes, minlength=len(self._num_predicted))

    def count_batch(self, num_samples: int, queue_seconds: float, run_seconds: float) -> None:
        """Count one call of the model."""
        self._batch_size.add(num_samples)
        self._queue.add(queue_seconds)
        self._run.add(run_seconds)

    def watch(self, samples: np.ndarray, outputs: np.ndarray) -> None:
        """Record the drift of some of the samples [N, ...] that the model was given, and of its outputs."""
        if self._drift:
            self._drift.observe(samples, outputs)

    def start(self) -> None:
        """Flush once a second, on the running event loop."""
        self.flush()
        self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.start)

    def flush(self) -> None:
        """Write the counts since the last flush."""
        for key, count in self._num_requests.items():
            if count:
                self._requests[key].inc(count)
                self._num_requests[key] = 0
        for index in np.flatnonzero(self._num_predicted):
            self._predictions[index].inc(int(self._num_predicted[index]))
        self._num_predicted[:] = 0
        for tally in (*self._seconds.values(), self._queue, self._run, self._batch_size):
            tally.flush()
        if self._drift:
            self._drift.flush()

    def close(self) -> None:
        """Flush once more, and stop."""
        if self._timer:
            self._timer.cancel()
        self.flush()
        if self._drift:
            self._drift.close()
