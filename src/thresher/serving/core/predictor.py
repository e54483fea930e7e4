"""The predictor: encoder, session, batcher and metrics of one bundle behind one call."""

from __future__ import annotations

import asyncio
from time import perf_counter

import numpy as np

from thresher.serving.core.autotune import measure_paces
from thresher.serving.core.batcher import Batcher
from thresher.serving.core.bundle import Bundle
from thresher.serving.core.byte_budget import ByteBudget, budget_bytes
from thresher.serving.core.errors import OverloadedError, outcome_of
from thresher.serving.core.length_groups import LengthGroups
from thresher.serving.core.observers import Observer, Shadow, Trace
from thresher.serving.core.predictions import all_finite, not_finite
from thresher.serving.core.queue_entry import Done, QueueEntry, set_future
from thresher.serving.core.session import open_session
from thresher.serving.core.tensors import ModelTensors

EXPLAIN = "explain"
"""The protocol's name for the copies of a sample that an explanation asks about."""
MAX_WAITING_BATCHES = 1024
"""Time and bytes bind earlier where a model is slow or samples are large. With 64, most of as many callers with 191
small images each were refused what takes a small model a third of a second."""
MAX_WAITING_BYTES = 256 * 2**20
NUMBER_BYTES = 24
"""The most bytes of one number in an answer in JSON."""


class Predictor:
    """Answers requests with the model of one bundle; all protocols share its batcher and its metrics.

    Args:
        metrics: counts requests, batches and answers.
        threads: of the session, where they are not to be those of the evaluation.
        budget: for the bytes of all requests in flight; without one, that of a single worker process.

    Raises:
        BundleError: the bundle's model cannot be run or does not fit its encoder.
    """

    def __init__(
        self,
        bundle: Bundle,
        metrics: Observer,
        threads: int | None = None,
        budget: ByteBudget | None = None,
    ) -> None:
        self.bundle, self.tensors = bundle, ModelTensors(bundle)
        self.budget = budget or ByteBudget(budget_bytes())
        self.session = open_session(bundle, threads)
        self.metrics = metrics
        self.timeout: float = bundle.info.timeout_ms / 1000
        """The seconds that a request may wait where it names no timeout of its own."""
        self.shadow: Shadow | None = None
        self._is_doubtful = False  # once an answer was not finite, each is looked at; until then, each batch
        self._answer_bytes = NUMBER_BYTES * max(1, len(bundle.encoder.class_names))
        model_input, info = bundle.encoder.model_input, bundle.info
        groups = LengthGroups(model_input)
        paces = measure_paces(self.session.run, groups, info.max_batch_size, info.max_latency_ms / 1000)
        most = min(MAX_WAITING_BATCHES * info.max_batch_size, MAX_WAITING_BYTES // model_input.sample_bytes)
        sizes, inline = [pace.max_batch_size for pace in paces], paces[-1].inline
        self._batcher = Batcher(self._run, sizes, most, model_input.join, inline, self._observe, groups)

    def check_room(self) -> None:
        """Check that a request would be queued, before it is decoded.

        Raises:
            OverloadedError: too many samples wait.
        """
        self._batcher.check_room(1, self.timeout)

    def count_refused(self, protocol: str, error: Exception) -> None:
        """Count a request that ended with ``error`` before it reached the batcher."""
        self.metrics.count_request(protocol, outcome_of(error), 0.0)

    def begin(
        self,
        samples: np.ndarray,
        protocol: str,
        done: Done,
        timeout: float | None = None,
        trace: Trace | None = None,
        reserved: int = 0,
    ) -> QueueEntry | None:
        """Queue encoded ``samples`` [N, ...]; ``done`` gets their outputs, or why there are none.

        Args:
            protocol: the request's protocol, for the metrics.
            timeout: seconds until its turn must have come; without one, the recipe's.
            reserved: bytes that the request holds of the budget already, until it is answered.

        Returns: the place in the queue, for `cancel`; None where ``done`` was called already.
        """
        # The copies of an explanation are no requests, and nothing that anybody sent.
        start, is_copy = perf_counter(), protocol == EXPLAIN
        held = 0 if is_copy else samples.nbytes + len(samples) * self._answer_bytes

        def finish(result: np.ndarray | Exception) -> None:
            if self._is_doubtful and not isinstance(result, Exception) and not all_finite(result):
                result = not_finite(result, self.bundle.encoder)
            if trace is not None:
                trace.answered(start, self._batcher.last_run, result)
            if not is_copy:
                outcome = outcome_of(result) if isinstance(result, Exception) else "ok"
                self.metrics.count_request(protocol, outcome, perf_counter() - start)
            self.budget.release(held)
            done(result)

        if trace is not None:
            trace.queued(start)
        if not self.budget.reserve(held):
            refusal, held = self.budget.refusal(reserved + held), 0
            finish(refusal)
            return None
        try:
            entry = self._batcher.put(samples, finish, self.timeout if timeout is None else timeout, is_copy)
        except OverloadedError as error:
            finish(error)
            return None
        entry.held = held
        return entry

    def cancel(self, entry: QueueEntry, protocol: str) -> None:
        """Remove a request from the queue, whose client has disconnected."""
        if not entry.cancelled and not entry.is_answered:
            self._batcher.cancel(entry)
            self.budget.release(entry.held)
            if not entry.is_copy:
                self.metrics.count_request(protocol, "cancelled", perf_counter() - entry.enqueued)

    async def infer(
        self,
        samples: np.ndarray,
        protocol: str = "rest",
        timeout: float | None = None,
        trace: Trace | None = None,
        reserved: int = 0,
    ) -> np.ndarray:
        """Return the probabilities [N, K] or values [N, 1], of ``samples`` [N, ...]; for the rest see `begin`.

        Cancelling this frees the place in the queue at once.

        Raises:
            OverloadedError: too many samples wait already, or too many bytes are in flight.
            TooLargeError: the request and its samples take more bytes than there ever are.
            DeadlineError: the turn did not come within ``timeout`` seconds.
            InvalidInputError: a sample so far from what the model knows that it has no finite answer.
        """
        answer: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        entry = self.begin(samples, protocol, set_future(answer), timeout, trace, reserved)
        try:
            return await answer
        except asyncio.CancelledError:
            if entry:
                self.cancel(entry, protocol)
            raise

    def close(self) -> None:
        """Stop answering."""
        self._batcher.close()
        if self.shadow:
            self.shadow.close()
        self.metrics.close()

    def _run(self, samples: np.ndarray) -> np.ndarray:
        outputs = self.session.run(samples)
        if not all_finite(outputs):
            self._is_doubtful = True
        return outputs

    def _observe(
        self,
        samples: np.ndarray,
        outputs: np.ndarray,
        queue_seconds: float,
        run_seconds: float,
        sent: np.ndarray | None,
    ) -> None:
        self.metrics.count_batch(len(samples), queue_seconds, run_seconds)
        if sent is not None:
            if not sent.any():
                return
            samples, outputs = samples[sent], outputs[sent]
        self.metrics.count_answers(outputs)
        self.metrics.watch(samples, outputs)
        if self.shadow:
            self.shadow.observe(samples, outputs)
