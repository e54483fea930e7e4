"""A bundle at work: encoder, session, batcher and metrics behind one call."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from thresher.serving.batcher import Batcher
from thresher.serving.bundle import Bundle
from thresher.serving.metrics import Metrics
from thresher.serving.session import open_session

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

MAX_WAITING_BATCHES = 64
MAX_WAITING_BYTES = 256 * 2**20


class Predictor:
    """Answers requests with the model of one bundle.

    Args:
        registry: where the metrics go; without one, prometheus_client's own, which takes one Predictor a process.

    Raises:
        BundleError: the bundle's model cannot be run or does not fit its encoder.
    """

    def __init__(self, bundle: Bundle, registry: CollectorRegistry | None = None) -> None:
        self.bundle = bundle
        self._session, self._metrics = open_session(bundle), Metrics(bundle, registry)
        encoder, max_batch_size = bundle.encoder, bundle.info.max_batch_size
        sample_bytes = encoder.channels * encoder.height * encoder.width
        max_waiting = min(MAX_WAITING_BATCHES * max_batch_size, MAX_WAITING_BYTES // sample_bytes)
        self._batcher = Batcher(self._run, max_batch_size, max_waiting)

    async def predict(self, samples: np.ndarray) -> list[dict[str, Any]]:
        """Return one prediction a sample of ``samples``, encoded as the bundle's encoder does it.

        Raises:
            OverloadedError: too many samples wait already.
        """
        start = perf_counter()
        probabilities = await self._batcher.submit(samples)
        class_indices = probabilities.argmax(axis=1)
        self._metrics.count_request(class_indices, perf_counter() - start)
        names = self.bundle.encoder.class_names
        # float32 to a Python float is exact: the answer holds the very number that the model gave.
        return [
            {
                "label": names[index],
                "class_index": index,
                "probabilities": dict(zip(names, row, strict=True)),
            }
            for index, row in zip(class_indices.tolist(), probabilities.tolist(), strict=True)
        ]

    def close(self) -> None:
        """Take no more samples."""
        self._batcher.close()

    def _run(self, samples: np.ndarray) -> np.ndarray:
        self._metrics.count_batch(len(samples))
        return self._session.run(samples)
