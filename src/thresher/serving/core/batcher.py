"""The micro-batcher: all requests that wait when the runtime becomes free run as one batch. It has no timer."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import perf_counter
from typing import NamedTuple

import numpy as np

from thresher.serving.core.errors import DeadlineError, OverloadedError

logger = logging.getLogger(__name__)

Done = Callable[["np.ndarray | Exception"], None]
"""Called once, on the event loop, with a request's outputs [N, ...], or with the error that it ends with."""
SMOOTHING = 0.9
"""The weight of former batches in the moving average of the seconds that a sample takes."""


class Run(NamedTuple):
    """One batch: when it began, in seconds of `perf_counter`, how long it took, and the number of its samples."""

    start: float
    seconds: float
    num_samples: int


class QueueEntry:
    """A request in the queue."""

    __slots__ = ("cancelled", "deadline", "done", "enqueued", "held", "is_copy", "num_taken", "outputs", "samples")

    def __init__(self, samples: np.ndarray, done: Done, enqueued: float, deadline: float | None, is_copy: bool) -> None:
        self.samples, self.done, self.enqueued, self.deadline = samples, done, enqueued, deadline
        self.is_copy = is_copy
        self.num_taken = 0
        self.outputs: list[np.ndarray] = []
        self.cancelled = False
        self.held = 0
        """Bytes of the budget that are reserved for it."""

    @property
    def is_answered(self) -> bool:
        """Whether `done` was called."""
        return not hasattr(self, "done")

    @property
    def num_waiting(self) -> int:
        """Samples that are in no batch yet."""
        return len(self.samples) - self.num_taken


Piece = tuple[QueueEntry, np.ndarray]


class Batcher:
    """Joins the samples of many requests into batches and hands each request its own outputs.

    An idle runtime takes a request in the event loop's next turn, with all that came in the same one; a busy runtime
    finds a fuller batch when it is done. Requests with many samples are served in turn with the others, one batch at
    a time. All methods are to be called on one event loop.

    Args:
        run: from samples [N, ...] to outputs [N, ...]; never called twice at a time.
        max_batch_size: the most samples in one call of ``run``.
        max_waiting: the most samples that may wait; a larger request is taken in only where nothing waits.
        join: makes one batch of the samples of several requests, which may be of different lengths.
        inline: call ``run`` on the event loop, which is right where it takes less time than a thread costs;
            otherwise a thread does it.
        on_batch: told of each batch: its samples, its outputs, how long its oldest request waited and how long
            ``run`` took, in seconds, and which of the samples, bool [N], are no copies; None for all.
    """

    def __init__(
        self,
        run: Callable[[np.ndarray], np.ndarray],
        max_batch_size: int,
        max_waiting: int,
        join: Callable[[list[np.ndarray]], np.ndarray] = np.concatenate,
        inline: bool = False,
        on_batch: Callable[[np.ndarray, np.ndarray, float, float, np.ndarray | None], None] | None = None,
    ) -> None:
        self._run, self._max_batch_size, self._max_waiting, self._join = run, max_batch_size, max_waiting, join
        self._on_batch = on_batch
        self._executor = None if inline else ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")
        self._entries: deque[QueueEntry] = deque()
        self._num_waiting = 0
        self._seconds_per_sample = 0.0
        self._busy = False
        self.last_run: Run | None = None
        """The last batch; set before its requests get their answers."""

    @property
    def num_waiting(self) -> int:
        """Samples that wait for the runtime."""
        return self._num_waiting

    def check_room(self, num_samples: int = 1, timeout: float | None = None) -> None:
        """Check that a request of ``num_samples`` would be queued, and begin within ``timeout`` seconds.

        Raises:
            OverloadedError: too many samples wait.
        """
        waiting = self._num_waiting
        if not waiting:
            return
        if waiting + num_samples > self._max_waiting:
            raise OverloadedError(f"{waiting} samples wait, of at most {self._max_waiting}.")
        if timeout is not None and waiting * self._seconds_per_sample > timeout:
            expected = waiting * self._seconds_per_sample
            raise OverloadedError(f"{waiting} samples wait, for about {expected:.1f} s; the request has {timeout:g} s.")

    def put(self, samples: np.ndarray, done: Done, timeout: float | None = None, is_copy: bool = False) -> QueueEntry:
        """Queue ``samples`` [N, ...], N at least 1; ``done`` gets their outputs [N, ...] in their order.

        Where the request cannot begin within ``timeout`` seconds, ``done`` gets a DeadlineError.

        Args:
            is_copy: nobody sent the samples: they are copies of one with something changed, made to explain it.

        Raises:
            OverloadedError: too many samples wait already.
        """
        if self._num_waiting:
            self.check_room(len(samples), timeout)
        now = perf_counter()
        entry = QueueEntry(samples, done, now, None if timeout is None else now + timeout, is_copy)
        self._entries.append(entry)
        self._num_waiting += len(samples)
        if not self._busy:
            self._busy = True
            asyncio.get_running_loop().call_soon(self._run_next)
        return entry

    def cancel(self, entry: QueueEntry) -> None:
        """Remove ``entry`` from the queue: nothing more is computed for it, and its `done` is not called."""
        if not entry.cancelled:
            entry.cancelled = True
            self._forget(entry)

    async def submit(self, samples: np.ndarray, timeout: float | None = None) -> np.ndarray:
        """Return the outputs [N, ...] of ``samples`` [N, ...], N at least 1, in their order.

        Cancelling this frees the place in the queue at once.

        Raises:
            OverloadedError: too many samples wait already.
            DeadlineError: the request did not begin within ``timeout`` seconds.
        """
        answer: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        entry = self.put(samples, set_future(answer), timeout)
        try:
            return await answer
        except asyncio.CancelledError:
            self.cancel(entry)
            raise

    def close(self) -> None:
        """Let the running batch end, and run no more."""
        if self._executor:
            self._executor.shutdown(wait=False)

    def _run_next(self) -> None:
        """Run the next batch; on the event loop, the one after it waits for the loop's next turn, and new requests."""
        pieces = self._next_batch()
        if not pieces:
            self._busy = False
            return
        batch = self._join([piece for _, piece in pieces]) if len(pieces) > 1 else pieces[0][1]
        loop, start = asyncio.get_running_loop(), perf_counter()
        if self._executor is None:
            try:
                outcome: np.ndarray | Exception = self._run(batch)
            except Exception as error:  # the error is the answer to all who were in the batch
                outcome = error
            self._finish(pieces, batch, start, perf_counter() - start, outcome)
            return

        def ended(future: Future[np.ndarray]) -> None:
            error = future.exception()
            assert error is None or isinstance(error, Exception)
            seconds = perf_counter() - start
            outcome = error if error is not None else future.result()
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._finish, pieces, batch, start, seconds, outcome)

        try:
            self._executor.submit(self._run, batch).add_done_callback(ended)
        except RuntimeError as error:  # closed
            self._finish(pieces, batch, start, 0.0, error)

    def _finish(
        self, pieces: list[Piece], batch: np.ndarray, start: float, seconds: float, outcome: np.ndarray | Exception
    ) -> None:
        # What waits runs next, whatever becomes of these answers.
        if self._entries:
            asyncio.get_running_loop().call_soon(self._run_next)
        else:
            self._busy = False
        self.last_run = Run(start, seconds, len(batch))
        if isinstance(outcome, Exception):
            self._fail(pieces, outcome)
            return
        newest = seconds / len(batch)
        self._seconds_per_sample = SMOOTHING * (self._seconds_per_sample or newest) + (1 - SMOOTHING) * newest
        _deliver(pieces, outcome)
        if self._on_batch:
            self._on_batch(batch, outcome, start - pieces[0][0].enqueued, seconds, _no_copies(pieces))

    def _next_batch(self) -> list[Piece]:
        """Remove up to one batch from the queue; what is left of a request goes to its end."""
        pieces: list[Piece] = []
        room, now = self._max_batch_size, perf_counter()
        while room and self._entries:
            entry = self._entries.popleft()
            num = min(room, entry.num_waiting)
            if not num:
                continue
            if entry.deadline is not None and now > entry.deadline:
                self._forget(entry)
                _answer(entry, DeadlineError("The request's time was up before its turn came."))
                continue
            taken = entry.num_taken
            pieces.append((entry, entry.samples[taken : taken + num] if num < len(entry.samples) else entry.samples))
            entry.num_taken = taken + num
            self._num_waiting -= num
            room -= num
            if entry.num_waiting:
                self._entries.append(entry)
        return pieces

    def _fail(self, pieces: list[Piece], error: Exception) -> None:
        for entry, _ in pieces:
            self._forget(entry)
            if not entry.cancelled:
                entry.cancelled = True  # a later batch may still bring other parts of it
                _answer(entry, error)

    def _forget(self, entry: QueueEntry) -> None:
        """Keep the rest of ``entry`` out of later batches."""
        self._num_waiting -= entry.num_waiting
        entry.num_taken = len(entry.samples)


def set_future(answer: asyncio.Future[np.ndarray]) -> Done:
    """Return a callback that sets a request's outcome as the result or the error of ``answer``."""

    def done(result: np.ndarray | Exception) -> None:
        if answer.done():
            return
        if isinstance(result, Exception):
            answer.set_exception(result)
        else:
            answer.set_result(result)

    return done


def _no_copies(pieces: list[Piece]) -> np.ndarray | None:
    """Return which samples of ``pieces``, bool [N], are no copies; None for all."""
    for entry, _ in pieces:
        if entry.is_copy:
            return np.repeat([not entry.is_copy for entry, _ in pieces], [len(piece) for _, piece in pieces])
    return None


def _deliver(pieces: list[Piece], outputs: np.ndarray) -> None:
    assert len(outputs) == sum(len(piece) for _, piece in pieces), outputs.shape
    start = 0
    for entry, piece in pieces:
        end = start + len(piece)
        if not entry.cancelled:
            if len(piece) == len(entry.samples):
                _answer(entry, outputs[start:end])
            else:
                entry.outputs.append(outputs[start:end])
                if entry.num_taken == len(entry.samples):
                    _answer(entry, np.concatenate(entry.outputs))
        start = end


def _answer(entry: QueueEntry, result: np.ndarray | Exception) -> None:
    done = entry.done
    del entry.done  # it holds the request, which holds the entry
    try:
        done(result)
    except Exception:  # one answer that cannot be sent must not cost the others of the batch theirs
        logger.exception("An answer could not be delivered")
