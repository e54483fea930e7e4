"""What waits in the batcher's queue: requests, their parts in groups of like length, and pieces of both in a batch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from thresher.serving.core.length_groups import Share

logger = logging.getLogger(__name__)

Done = Callable[["np.ndarray | Exception"], None]
"""Called once, on the event loop, with a request's outputs [N, ...], or with the error that it ends with."""


class QueueEntry:
    """A request in the queue."""

    __slots__ = ("cancelled", "deadline", "done", "enqueued", "held", "is_copy", "num_open", "outputs", "parts")

    def __init__(self, num_samples: int, done: Done, enqueued: float, deadline: float | None, is_copy: bool) -> None:
        self.done, self.enqueued, self.deadline = done, enqueued, deadline
        self.is_copy = is_copy
        self.num_open = num_samples
        """Samples without outputs."""
        self.outputs: np.ndarray | None = None
        """Of the samples that have some, each in its place, where one batch did not bring all."""
        self.parts: tuple[Part, ...] = ()
        self.cancelled = False
        self.held = 0
        """Bytes of the budget that are reserved for it."""

    @property
    def is_answered(self) -> bool:
        """Whether `done` was called."""
        return not hasattr(self, "done")


class Part:
    """The samples of a request that are in one group."""

    __slots__ = ("entry", "num_taken", "share")

    def __init__(self, entry: QueueEntry, share: Share) -> None:
        self.entry, self.share = entry, share
        self.num_taken = 0

    @property
    def num_waiting(self) -> int:
        """Samples that are in no batch yet."""
        return len(self.share.samples) - self.num_taken


class Piece(NamedTuple):
    """What of a request is in one batch: samples, and their places in the request."""

    entry: QueueEntry
    samples: np.ndarray
    places: np.ndarray | slice


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


def no_copies(pieces: list[Piece]) -> np.ndarray | None:
    """Return which samples of ``pieces``, bool [N], are no copies; None for all."""
    if not any(piece.entry.is_copy for piece in pieces):
        return None
    return np.repeat([not piece.entry.is_copy for piece in pieces], [len(piece.samples) for piece in pieces])


def deliver(pieces: list[Piece], outputs: np.ndarray) -> None:
    assert len(outputs) == sum(len(piece.samples) for piece in pieces), outputs.shape
    start = 0
    for entry, samples, places in pieces:
        own = outputs[start : start + len(samples)]
        start += len(samples)
        if entry.cancelled:
            continue
        if entry.outputs is None and len(own) == entry.num_open:
            answer(entry, own)
            continue
        if entry.outputs is None:
            entry.outputs = np.empty((entry.num_open, *own.shape[1:]), own.dtype)
        entry.outputs[places] = own
        entry.num_open -= len(own)
        if not entry.num_open:
            answer(entry, entry.outputs)


def answer(entry: QueueEntry, result: np.ndarray | Exception) -> None:
    done = entry.done
    # Both hold the entry: done holds the request, which does.
    del entry.done
    entry.parts = ()
    try:
        done(result)
    except Exception:  # one answer that cannot be sent must not cost the others of the batch theirs
        logger.exception("An answer could not be delivered")
