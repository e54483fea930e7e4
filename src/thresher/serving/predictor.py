"""A bundle at work: encoder, session, batcher and metrics behind one call."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from thresher.errors import InvalidInputError
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
        model_input, max_batch_size = bundle.encoder.model_input, bundle.info.max_batch_size
        max_waiting = min(MAX_WAITING_BATCHES * max_batch_size, MAX_WAITING_BYTES // model_input.sample_bytes)
        self._batcher = Batcher(self._run, max_batch_size, max_waiting, model_input.join)

    async def predict(self, samples: np.ndarray) -> list[dict[str, Any]]:
        """Return one prediction a sample of ``samples``, encoded as the bundle's encoder does it.

        Raises:
            OverloadedError: too many samples wait already.
            InvalidInputError: a sample so far from what the model knows that it has no finite answer.
        """
        start = perf_counter()
        answers = await self._batcher.submit(samples)
        self._check(answers)
        names = self.bundle.encoder.class_names
        self._metrics.count_request(answers.argmax(axis=1), perf_counter() - start)
        # float32 to a Python float is exact: the answer holds the very number that the model gave.
        return _say_classes(answers, names) if names else [{"value": value} for value in answers[:, 0].tolist()]

    def close(self) -> None:
        """Take no more samples."""
        self._batcher.close()

    def _check(self, answers: np.ndarray) -> None:
        if not np.isfinite(answers).all():
            encoder, wrong = self.bundle.encoder, int(np.flatnonzero(~np.isfinite(answers).all(axis=1))[0])
            raise InvalidInputError(
                f"The model has no finite answer to {encoder.NAMES[0]} {wrong}: numbers too large. "
                f"Expected {encoder.expected}."
            )

    def _run(self, samples: np.ndarray) -> np.ndarray:
        self._metrics.count_batch(len(samples))
        return self._session.run(samples)


def _say_classes(probabilities: np.ndarray, names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {
            "label": names[index],
            "class_index": index,
            "probabilities": dict(zip(names, row, strict=True)),
        }
        for index, row in zip(probabilities.argmax(axis=1).tolist(), probabilities.tolist(), strict=True)
    ]
