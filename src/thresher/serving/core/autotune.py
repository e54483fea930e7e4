"""How fast the model runs here and now, and what follows for its batches; measured when a service starts."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np

from thresher.serving.core.length_groups import LengthGroups

REPEATS = 5
HOPS = 4
"""A model that takes less than so many hand-overs to a thread runs on the event loop. So many is also what a batch
costs besides the model."""
INLINE_SECONDS = 0.005
"""The longest that a batch may hold the event loop."""
NEARLY = 1.15
"""Times the least: a difference that two measurements may have while other workers start on the same cores."""


@dataclass(frozen=True)
class Pace:
    """How batches are to be run."""

    inline: bool
    """Whether the model runs on the event loop, because a thread would cost more than it saves."""
    max_batch_size: int
    """The one that answers the most samples a second within the time asked for; at least 1."""
    seconds_one: float
    """The seconds that a batch of one sample takes."""


def measure_paces(
    run: Callable[[np.ndarray], np.ndarray], groups: LengthGroups, max_batch_size: int, max_seconds: float
) -> list[Pace]:
    """Return the pace of each of ``groups``; all run where the longest samples do."""
    longest = len(groups.ends) - 1
    last = measure_pace(run, partial(groups.example, longest), max_batch_size, max_seconds)
    others = [
        measure_pace(run, partial(groups.example, group), max_batch_size, max_seconds, last.inline)
        for group in range(longest)
    ]
    return [*others, last]


def measure_pace(
    run: Callable[[np.ndarray], np.ndarray],
    example: Callable[[int], np.ndarray],
    max_batch_size: int,
    max_seconds: float,
    inline: bool | None = None,
) -> Pace:
    """Return how to run batches of at most ``max_batch_size`` samples that take at most ``max_seconds`` each.

    Of the sizes 1, 2, 4, ... it is the largest that takes the least time a sample, or nearly: beyond what the
    processor's caches hold, larger batches are slower.

    Args:
        run: the model, from samples [N, ...] to outputs.
        example: makes N valid samples of the longest shape.
        inline: whether batches run on the event loop, where that is known.
    """
    one, overhead = _fastest(run, example(1)), HOPS * _hop_seconds()
    inline = one < overhead if inline is None else inline
    longest = min(max_seconds, INLINE_SECONDS) if inline else max_seconds
    size, seconds = 1, one
    costs = {1: one + overhead}
    while size < max_batch_size and seconds <= longest:
        size = min(2 * size, max_batch_size)
        seconds = _fastest(run, example(size))
        # Of a size that takes too long, the part that does not is taken to be as fast.
        fits = size if seconds <= longest else int(longest * size / seconds)
        costs.setdefault(max(1, fits), (seconds + overhead) / size)
    least = min(costs.values())
    return Pace(inline, max(size for size, cost in costs.items() if cost <= NEARLY * least), one)


def _fastest(run: Callable[[np.ndarray], np.ndarray], batch: np.ndarray) -> float:
    """Return the seconds of the fastest of a few calls: the others shared the processor with something else."""
    run(batch)
    best, budget = float("inf"), perf_counter() + 0.5
    for _ in range(REPEATS):
        start = perf_counter()
        run(batch)
        best = min(best, perf_counter() - start)
        if perf_counter() > budget:
            break
    return best


def _hop_seconds() -> float:
    """Return what handing a call to a waiting thread and taking its answer costs."""
    with ThreadPoolExecutor(1) as executor:
        executor.submit(int).result()
        best = float("inf")
        for _ in range(50):
            start = perf_counter()
            executor.submit(int).result()
            best = min(best, perf_counter() - start)
    return best
