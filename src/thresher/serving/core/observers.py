"""What a predictor tells of its work, and to whom."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from thresher.serving.core.batcher import Run


class Observer(Protocol):
    """Counts requests, batches and answers."""

    def count_request(self, protocol: str, outcome: str, seconds: float) -> None:
        """Count a request that ended with ``outcome``, so many seconds after it was decoded."""

    def count_batch(self, num_samples: int, queue_seconds: float, run_seconds: float) -> None:
        """Count one call of the model."""

    def count_answers(self, outputs: np.ndarray) -> None:
        """Count the predictions of a batch, probabilities [N, K] or values [N, 1]."""

    def watch(self, samples: np.ndarray, outputs: np.ndarray) -> None:
        """Look at the samples [N, ...] that the model was given, and at its outputs."""

    def flush(self) -> None:
        """Publish what was counted until now."""

    def close(self) -> None:
        """Publish what is left, and count no more."""


class Shadow(Protocol):
    """Sees what the model answered, and compares."""

    def observe(self, samples: np.ndarray, outputs: np.ndarray) -> None:
        """Look at samples [N, ...] and the model's outputs; never waits."""

    def close(self) -> None:
        """See no more."""


class Trace(Protocol):
    """Follows one request."""

    def queued(self, when: float) -> None:
        """Take in that the request came to the batcher at ``when``, in seconds of `perf_counter`."""

    def answered(self, queued: float, run: Run | None, result: np.ndarray | Exception) -> None:
        """Take in how the batcher answered what came at ``queued``, and the model's last ``run`` until then."""
