"""torch has one generator for all threads of a process: whatever draws from it, or sets it, takes a turn."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

_TURN = threading.RLock()


@contextmanager
def generator_turn() -> Iterator[None]:
    """Have torch's generators for the thread alone in the block; `yield_access` must not be called in it."""
    with _TURN:
        yield


@contextmanager
def forked_generators(devices: Sequence[torch.device] = ()) -> Iterator[None]:
    """Have torch's generators for the thread alone, and leave those of the CPU and of ``devices`` as they were."""
    with _TURN, torch.random.fork_rng(devices):
        yield
