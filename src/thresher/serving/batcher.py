"""The micro-batcher: whatever waits when the runtime becomes free runs as one batch. No timer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np


class OverloadedError(Exception):
    """More samples wait than the batcher takes in."""


@dataclass(eq=False)
class _Request:
    samples: np.ndarray
    answer: asyncio.Future[np.ndarray]
    num_taken: int = 0
    outputs: list[np.ndarray] = field(default_factory=list)

    @property
    def num_waiting(self) -> int:
        return 0 if self.answer.done() else len(self.samples) - self.num_taken


class Batcher:
    """Joins the samples of many requests into batches and hands each request its own outputs.

    An idle runtime takes a request at once; a busy one finds a fuller batch when it is done. Requests with many
    samples are served in turn with the others, one batch at a time.

    Args:
        run: from samples [N, ...] to outputs [N, ...], called by one thread at a time.
        max_batch_size: the most samples in one call of ``run``.
        max_waiting: the most samples that may wait; a larger request is taken in only where nothing waits.
        join: makes one batch of the samples of several requests, which may be of different lengths.
    """

    def __init__(
        self,
        run: Callable[[np.ndarray], np.ndarray],
        max_batch_size: int,
        max_waiting: int,
        join: Callable[[list[np.ndarray]], np.ndarray] = np.concatenate,
    ) -> None:
        self._run, self._max_batch_size, self._max_waiting, self._join = run, max_batch_size, max_waiting, join
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")
        self._requests: deque[_Request] = deque()
        self._num_waiting = 0
        self._worker: asyncio.Task[None] | None = None

    @property
    def num_waiting(self) -> int:
        """Samples that wait for the runtime."""
        return self._num_waiting

    async def submit(self, samples: np.ndarray) -> np.ndarray:
        """Return the outputs [N, ...] of ``samples`` [N, ...], N at least 1, in their order.

        Cancelling this frees the place in the queue at once.

        Raises:
            OverloadedError: too many samples wait already.
        """
        if self._num_waiting and self._num_waiting + len(samples) > self._max_waiting:
            raise OverloadedError(f"{self._num_waiting} samples wait, of at most {self._max_waiting}.")
        request = _Request(samples, asyncio.get_running_loop().create_future())
        self._requests.append(request)
        self._num_waiting += len(samples)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        try:
            return await request.answer
        except asyncio.CancelledError:
            self._num_waiting -= len(samples) - request.num_taken
            raise

    def close(self) -> None:
        """Let the running batch end and take no more."""
        self._executor.shutdown(wait=False)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while pieces := self._take():
                batch = self._join([piece for _, piece in pieces]) if len(pieces) > 1 else pieces[0][1]
                try:
                    _deliver(pieces, await loop.run_in_executor(self._executor, self._run, batch))
                except Exception as error:  # the error is the answer to all who were in the batch
                    self._fail(pieces, error)
        finally:
            self._worker = None

    def _take(self) -> list[tuple[_Request, np.ndarray]]:
        """Remove up to one batch from the queue; what is left of a request goes to its end."""
        pieces: list[tuple[_Request, np.ndarray]] = []
        room = self._max_batch_size
        while room and self._requests:
            request = self._requests.popleft()
            num = min(room, request.num_waiting)
            if not num:
                continue
            pieces.append((request, request.samples[request.num_taken : request.num_taken + num]))
            request.num_taken += num
            self._num_waiting -= num
            room -= num
            if request.num_waiting:
                self._requests.append(request)
        return pieces

    def _fail(self, pieces: list[tuple[_Request, np.ndarray]], error: Exception) -> None:
        for request, _ in pieces:
            self._num_waiting -= request.num_waiting
            request.num_taken = len(request.samples)
            if not request.answer.done():
                request.answer.set_exception(error)


def _deliver(pieces: list[tuple[_Request, np.ndarray]], outputs: np.ndarray) -> None:
    assert len(outputs) == sum(len(piece) for _, piece in pieces), outputs.shape
    start = 0
    for request, piece in pieces:
        request.outputs.append(outputs[start : start + len(piece)])
        start += len(piece)
        if request.num_taken == len(request.samples) and not request.answer.done():
            request.answer.set_result(np.concatenate(request.outputs))
