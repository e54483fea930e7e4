"""What a call takes, and how much of that it waited for a processor that other work had.

A scheduler takes the processor away every few milliseconds. A call of 6 ms is nearly always interrupted, one of 1 ms
hardly ever, so that on a busy machine the median of what a clock on the wall says is twice or three times the truth
for the one and right for the other: their ratio is wrong, and all rounds agree on it. What the thread itself had of a
processor is right for both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

CLOCK_READINGS = 200
FINE_SECONDS = 1e-6
"""A clock that counts coarser, as Windows' does, says nothing of a single call."""
_STAT = Path("/proc/stat")
_STOLEN, _IDLE = 7, (3, 4)
"""Fields of the first line of /proc/stat: what the host of a virtual machine took; idle, and idle waiting for disks."""


@dataclass(frozen=True)
class CallTimes:
    """What was measured of the calls of one turn, each [calls].

    Attributes:
        wall: seconds from beginning to end.
        computed: seconds that the calling thread had a processor; only their sum means something where the clock is
            too coarse for a call.
        interrupted: whether a thread of this process lost its processor to another one meanwhile.
    """

    wall: np.ndarray
    computed: np.ndarray
    interrupted: np.ndarray

    @property
    def alone(self) -> np.ndarray:
        """Seconds on the wall's clock of the calls that were not interrupted."""
        seconds: np.ndarray = self.wall[~self.interrupted]
        return seconds


def time_calls(call: Callable[[], object], count: int) -> CallTimes:
    """Return what each of ``count`` calls takes. Reading the clocks is left out: some 0.3 us are no part of a call."""
    switches, offset = _switches, _clock_seconds()
    wall, computed, interrupted = np.empty(count), np.empty(count), np.empty(count, bool)
    for number in range(count):
        switches_before, thread_before = switches(), time.thread_time()
        began = time.perf_counter()
        call()
        wall[number] = time.perf_counter() - began
        computed[number] = time.thread_time() - thread_before - offset
        interrupted[number] = switches() != switches_before
    return CallTimes(wall, computed, interrupted)


def turns(number: int) -> tuple[int, int]:
    """Return the order of two models in the round ``number``: whatever the first turn costs falls on both alike."""
    return (0, 1) if number % 2 == 0 else (1, 0)


def places_of(number: int, num_samples: int, size: int, rounds: int) -> np.ndarray:
    """Return which samples the round ``number`` takes, int64 [size].

    The rounds begin all over the test split, since samples that stand together may be alike in length.
    """
    places: np.ndarray = (number * num_samples // rounds + np.arange(size)) % num_samples
    return places


def median_seconds(turn: CallTimes, threads: int) -> float:
    """Return what a call of a session with so many ``threads`` takes, without the wait for a processor if it is one."""
    takes_off = threads == 1 and has_fine_clock()
    return float(np.median(np.minimum(turn.computed, turn.wall) if takes_off else turn.wall))


def waited_share(turns: Iterable[CallTimes]) -> float:
    """Return how much of their time the calls of ``turns`` waited for a processor, from 0 to 1."""
    wall = computed = 0.0
    for turn in turns:
        wall, computed = wall + float(turn.wall.sum()), computed + float(turn.computed.sum())
    return max(0.0, 1 - computed / wall)


def interrupted_share(turns: Iterable[CallTimes]) -> float:
    """Return how many of the calls of ``turns`` were interrupted, from 0 to 1."""
    return float(np.concatenate([turn.interrupted for turn in turns]).mean())


def has_fine_clock() -> bool:
    """Return whether this system says what a thread had of a processor, finely enough for a single call."""
    return time.get_clock_info("thread_time").resolution <= FINE_SECONDS


class StolenTime:
    """How much of the processors' work the host of a virtual machine kept for others, since this was made."""

    def __init__(self) -> None:
        self._before = _read_stat()

    @property
    def share(self) -> float:
        """The share, from 0 to 1, of the time in which a processor was to work; 0 where the system does not say."""
        before, now = self._before, _read_stat()
        if not before or not now:
            return 0.0
        passed = [later - earlier for earlier, later in zip(before, now, strict=True)]
        busy = sum(passed) - sum(passed[field] for field in _IDLE)
        return passed[_STOLEN] / busy if busy > 0 else 0.0


def _read_stat() -> list[int]:
    """Return the ticks since the start of the system, of all processors together, by field; none but on Linux."""
    try:
        line = _STAT.read_text(encoding="ascii").partition("\n")[0]
    except OSError:
        return []
    return [int(field) for field in line.split()[1 : _STOLEN + 2]]


@cache
def _clock_seconds() -> float:
    """Return what reading the clocks adds to the time of a thread in which nothing is called."""
    if not has_fine_clock():
        return 0.0
    readings = []
    for _ in range(CLOCK_READINGS):
        before = time.thread_time()
        time.perf_counter()
        time.perf_counter()
        readings.append(time.thread_time() - before)
    return float(np.median(readings))


def _count_switches() -> Callable[[], int]:
    """Return what counts how often a thread of this process has lost its processor; always 0 where nothing does."""
    try:
        import resource
    except ImportError:  # Windows
        return lambda: 0
    usage: Any = resource.getrusage
    return lambda: usage(resource.RUSAGE_SELF).ru_nivcsw


_switches = _count_switches()
