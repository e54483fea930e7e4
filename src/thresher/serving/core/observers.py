"""What a predictor needs of its observers: metrics, the shadow, and traces."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from thresher.serving.core.batcher import Run


class Observer(Protocol):
    """Counts requests, batches and answers."""

    def count_request(self, protocol: str, outcome: str, seconds: float) -> None:
        """Count a request that ended with ``outcome``, ``seconds`` after it was decoded."""

    def count_batch(self, num_samples: int, queue_seconds: float, run_seconds: float) -> None:
        """Count one call of the model."""

    def count_answers(self, outputs: np.ndarray) -> None:
        """Count the predictions of a batch, probabilities [N, K] or values [N, 1]."""

    def watch(self, samples: np.ndarray, outputs: np.ndarray) -> None:
        """Observe the samples [N, ...] that the model was given, and its outputs."""

    def flush(self) -> None:
        """Publish the counts."""

    def close(self) -> None:
        """Publish the counts, and stop counting."""


class Shadow(Protocol):
    """Compares the model's answers with those of a challenger."""

    def observe(self, samples: np.ndarray, outputs: np.ndarray) -> None:
        """Observe samples [N, ...] and the model's outputs; never waits."""

    def close(self) -> None:
        """Stop comparing."""


class Trace(Protocol):
    """Follows one request."""

    def queued(self, when: float) -> None:
        """Record that the request was queued at ``when``, in seconds of `perf_counter`."""

    def answered(self, queued: float, run: Run | None, result: np.ndarray | Exception) -> None:
        """Record the outcome of what was ``queued`` at this time, and the model's last ``run`` until then."""
