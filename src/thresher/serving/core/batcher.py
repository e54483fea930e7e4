"""The micro-batcher: all requests that wait when the runtime becomes free run as one batch. It has no timer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from operator import mul
from time import perf_counter
from typing import NamedTuple

import numpy as np

from thresher.serving.core.errors import DeadlineError, OverloadedError
from thresher.serving.core.length_groups import LengthGroups
from thresher.serving.core.queue_entry import Done, Part, Piece, QueueEntry, answer, deliver, no_copies, set_future

SMOOTHING = 0.9
"""The weight of former batches in the moving average of the seconds that a sample takes."""


class Run(NamedTuple):
    """One batch: when it began, in seconds of `perf_counter`, how long it took, and the number of its samples."""

    start: float
    seconds: float
    num_samples: int


class Batcher:
    """Joins the samples of many requests into batches and hands each request its own outputs.

    An idle runtime takes a request in the event loop's next turn, with all that came in the same one; a busy runtime
    finds a fuller batch when it is done. Requests with many samples are served in turn with the others, one batch at
    a time. A batch is of one group, and all groups that wait share the runtime's time evenly (start-time fair queueing,
    Goyal et al. 1996): short requests do not wait for all long ones before them, nor long ones for ever. All methods
    are to be called on one event loop.

    Args:
        run: from samples [N, ...] to outputs [N, ...]; never called twice at a time.
        max_batch_size: the most samples in one call of ``run``, for each of ``groups``.
        max_waiting: the most samples that may wait; a larger request is taken in only where nothing waits.
        join: makes one batch of the samples of several requests, which may be of different lengths.
        inline: call ``run`` on the event loop, which is right where it takes less time than a thread costs;
            otherwise a thread does it.
        groups: says which samples may be in one batch; all, unless it is given.
        on_batch: told of each batch: its samples, its outputs, how long its oldest request waited and how long
            ``run`` took, in seconds, and which of the samples, bool [N], are no copies; None for all.
    """

    def __init__(
        self,
        run: Callable[[np.ndarray], np.ndarray],
        max_batch_size: int | Sequence[int],
        max_waiting: int,
        join: Callable[[list[np.ndarray]], np.ndarray] = np.concatenate,
        inline: bool = False,
        on_batch: Callable[[np.ndarray, np.ndarray, float, float, np.ndarray | None], None] | None = None,
        groups: LengthGroups | None = None,
    ) -> None:
        self._run, self._max_waiting, self._join = run, max_waiting, join
        self._groups = groups or LengthGroups()
        self._sizes = [max_batch_size] if isinstance(max_batch_size, int) else list(max_batch_size)
        assert len(self._sizes) == len(self._groups.ends)
        self._on_batch = on_batch
        self._executor = None if inline else ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")
        self._queues: list[deque[Part]] = [deque() for _ in self._sizes]
        self._waiting = [0] * len(self._sizes)
        self._seconds_per_sample = [0.0] * len(self._sizes)
        self._used = [0.0] * len(self._sizes)
        """The runtime's seconds that each group has had; one that waited for nothing has saved none up."""
        self._clock = 0.0
        """What the group that runs, or ran last, had had before."""
        self._busy = False
        self.last_run: Run | None = None
        """The last batch; set before its requests get their answers."""

    @property
    def num_waiting(self) -> int:
        """Samples that wait for the runtime."""
        return sum(self._waiting)

    def check_room(self, num_samples: int = 1, timeout: float | None = None, groups: Iterable[int] = ()) -> None:
        """Check that a request of ``num_samples`` would be queued, and begin within ``timeout`` seconds.

        Args:
            groups: those of its samples; before they are known, the one that would wait least counts.

        Raises:
            OverloadedError: too many samples wait.
        """
        waiting = self.num_waiting
        if not waiting:
            return
        if waiting + num_samples > self._max_waiting:
            raise OverloadedError(f"{waiting} samples wait, of at most {self._max_waiting}.")
        if timeout is None:
            return
        times = self._expected_seconds()
        expected = max((times[group] for group in groups), default=min(times))
        if expected > timeout:
            raise OverloadedError(f"{waiting} samples wait, for about {expected:.1f} s; the request has {timeout:g} s.")

    def _expected_seconds(self) -> list[float]:
        """Return how long a sample of each group would wait: for its own group, and as long for each other that waits.

        It is never longer than all that waits takes.
        """
        work = list(map(mul, self._waiting, self._seconds_per_sample))
        total, others = sum(work), sum(map(bool, self._waiting))
        return [min(total, own * others) for own in work]

    def put(self, samples: np.ndarray, done: Done, timeout: float | None = None, is_copy: bool = False) -> QueueEntry:
        """Queue ``samples`` [N, ...], N at least 1; ``done`` gets their outputs [N, ...] in their order.

        Where the request cannot begin within ``timeout`` seconds, ``done`` gets a DeadlineError.

        Args:
            is_copy: nobody sent the samples: they are copies of one with something changed, made to explain it.

        Raises:
            OverloadedError: too many samples wait already.
        """
        shares = self._groups.split(samples)
        self.check_room(len(samples), timeout, (share.group for share in shares))
        now = perf_counter()
        entry = QueueEntry(len(samples), done, now, None if timeout is None else now + timeout, is_copy)
        entry.parts = tuple(Part(entry, share) for share in shares)
        for part in entry.parts:
            group = part.share.group
            self._used[group] = max(self._used[group], self._clock)
            self._waiting[group] += part.num_waiting
            self._queues[group].append(part)
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
        outputs: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        entry = self.put(samples, set_future(outputs), timeout)
        try:
            return await outputs
        except asyncio.CancelledError:
            self.cancel(entry)
            raise

    def close(self) -> None:
        """Let the running batch end, and run no more."""
        if self._executor:
            self._executor.shutdown(wait=False)

    def _run_next(self) -> None:
        """Run the next batch; on the event loop, the one after it waits for the loop's next turn, and new requests."""
        group, pieces = self._next_batch()
        if not pieces:
            self._busy = False
            return
        batch = self._join([piece.samples for piece in pieces]) if len(pieces) > 1 else pieces[0].samples
        loop, start = asyncio.get_running_loop(), perf_counter()
        if self._executor is None:
            try:
                outcome: np.ndarray | Exception = self._run(batch)
            except Exception as error:  # the error is the answer to all who were in the batch
                outcome = error
            self._finish(group, pieces, batch, start, perf_counter() - start, outcome)
            return

        def ended(future: Future[np.ndarray]) -> None:
            error = future.exception()
            assert error is None or isinstance(error, Exception)
            seconds = perf_counter() - start
            outcome = error if error is not None else future.result()
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._finish, group, pieces, batch, start, seconds, outcome)

        try:
            self._executor.submit(self._run, batch).add_done_callback(ended)
        except RuntimeError as error:  # closed
            self._finish(group, pieces, batch, start, 0.0, error)

    def _finish(
        self,
        group: int,
        pieces: list[Piece],
        batch: np.ndarray,
        start: float,
        seconds: float,
        outcome: np.ndarray | Exception,
    ) -> None:
        # What waits runs next, whatever becomes of these answers.
        if any(self._queues):
            asyncio.get_running_loop().call_soon(self._run_next)
        else:
            self._busy = False
        self.last_run = Run(start, seconds, len(batch))
        self._used[group] += seconds
        if isinstance(outcome, Exception):
            self._fail(pieces, outcome)
            return
        newest, former = seconds / len(batch), self._seconds_per_sample[group]
        self._seconds_per_sample[group] = SMOOTHING * (former or newest) + (1 - SMOOTHING) * newest
        deliver(pieces, outcome)
        if self._on_batch:
            self._on_batch(batch, outcome, start - pieces[0].entry.enqueued, seconds, no_copies(pieces))

    def _next_batch(self) -> tuple[int, list[Piece]]:
        """Remove up to one batch from the queue of the group whose turn is next, and return both."""
        now = perf_counter()
        while there := [group for group, queue in enumerate(self._queues) if queue]:
            group = min(there, key=self._used.__getitem__)
            if pieces := self._take(group, now):
                self._clock = self._used[group]
                return group, pieces
        return 0, []

    def _take(self, group: int, now: float) -> list[Piece]:
        """Remove up to one batch from the queue of ``group``; what is left of a request goes to the end."""
        pieces: list[Piece] = []
        queue, room = self._queues[group], self._sizes[group]
        while room and queue:
            part = queue.popleft()
            entry, num = part.entry, min(room, part.num_waiting)
            if not num:
                continue
            if entry.deadline is not None and now > entry.deadline:
                self._forget(entry)
                answer(entry, DeadlineError("The request's time was up before its turn came."))
                continue
            which = slice(part.num_taken, part.num_taken + num)
            places = part.share.places
            pieces.append(Piece(entry, part.share.samples[which], which if places is None else places[which]))
            part.num_taken += num
            self._waiting[group] -= num
            room -= num
            if part.num_waiting:
                queue.append(part)
        return pieces

    def _fail(self, pieces: list[Piece], error: Exception) -> None:
        for entry in (piece.entry for piece in pieces):
            self._forget(entry)
            if not entry.cancelled:
                answer(entry, error)

    def _forget(self, entry: QueueEntry) -> None:
        """Keep the rest of ``entry`` out of later batches."""
        for part in entry.parts:
            self._waiting[part.share.group] -= part.num_waiting
            part.num_taken = len(part.share.samples)
        entry.parts = ()
