"""Every request gets its own answer, whoever else was in its batch, left, or came too late."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

from thresher.serving.core.batcher import Batcher
from thresher.serving.core.errors import DeadlineError, OverloadedError


class Model:
    """Answers twice the sample; holds its breath while `free` is clear; fails on samples of -1."""

    def __init__(self) -> None:
        self.batch_sizes: list[int] = []
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Event()

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        self.entered.set()
        assert self.free.wait(10)
        self.batch_sizes.append(len(samples))
        if (samples == -1).any():
            raise ZeroDivisionError("the model broke")
        return samples * 2


def numbers(*values: int) -> np.ndarray:
    return np.array(values)[:, None]


async def run_busy(model: Model, batcher: Batcher) -> asyncio.Task[np.ndarray]:
    """Occupy the model until `free` is set."""
    model.free.clear()
    model.entered.clear()
    task = asyncio.create_task(batcher.submit(numbers(1000)))
    await asyncio.to_thread(model.entered.wait, 10)
    return task


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


def test_thousands_of_requests_are_never_mixed_up() -> None:
    async def work() -> None:
        model = Model()
        batcher = Batcher(model, max_batch_size=32, max_waiting=10**6)
        sizes = random.Random(0).choices(range(1, 90), weights=[400] + [1] * 88, k=5000)
        starts = np.cumsum([0, *sizes])
        requests = [np.arange(s, s + n)[:, None] for s, n in zip(starts, sizes, strict=False)]
        answers = await asyncio.gather(*map(batcher.submit, requests))
        for request, answer in zip(requests, answers, strict=True):
            np.testing.assert_array_equal(answer, request * 2)
        assert sum(model.batch_sizes) == sum(sizes)
        assert max(model.batch_sizes) == 32
        assert batcher.num_waiting == 0

    run(work())


def test_what_waits_becomes_one_batch() -> None:
    async def work() -> None:
        model = Model()
        batcher = Batcher(model, max_batch_size=8, max_waiting=100)
        busy = await run_busy(model, batcher)
        waiting = [asyncio.create_task(batcher.submit(numbers(n))) for n in range(11)]
        await asyncio.sleep(0)
        model.free.set()
        await asyncio.gather(busy, *waiting)
        assert model.batch_sizes == [1, 8, 3]

    run(work())


def test_small_request_need_not_wait_for_all_of_a_large_one() -> None:
    async def work() -> None:
        model = Model()
        batcher = Batcher(model, max_batch_size=4, max_waiting=1000)
        large = asyncio.create_task(batcher.submit(np.arange(400)[:, None]))
        await asyncio.sleep(0)
        np.testing.assert_array_equal(await batcher.submit(numbers(7)), numbers(14))
        assert not large.done()
        np.testing.assert_array_equal(await large, np.arange(400)[:, None] * 2)

    run(work())


def test_overload_is_refused_and_passes() -> None:
    async def work() -> None:
        model = Model()
        batcher = Batcher(model, max_batch_size=4, max_waiting=10)
        busy = await run_busy(model, batcher)
        waiting = [asyncio.create_task(batcher.submit(numbers(n))) for n in range(10)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match="10 samples wait, of at most 10"):
            await batcher.submit(numbers(1))
        model.free.set()
        await asyncio.gather(busy, *waiting)
        np.testing.assert_array_equal(await batcher.submit(numbers(3)), numbers(6))

    run(work())


def test_request_larger_than_the_queue_is_answered_when_nothing_waits() -> None:
    async def work() -> None:
        batcher = Batcher(Model(), max_batch_size=4, max_waiting=10)
        np.testing.assert_array_equal(await batcher.submit(np.arange(50)[:, None]), np.arange(50)[:, None] * 2)

    run(work())


def test_cancelled_request_frees_its_place() -> None:
    async def work() -> None:
        model = Model()
        batcher = Batcher(model, max_batch_size=4, max_waiting=10)
        busy = await run_busy(model, batcher)
        gone = [asyncio.create_task(batcher.submit(numbers(n, n))) for n in range(5)]
        await asyncio.sleep(0)
        assert batcher.num_waiting == 10
        for task in gone:
            task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        assert batcher.num_waiting == 0
        last = asyncio.create_task(batcher.submit(np.arange(10)[:, None]))
        await asyncio.sleep(0)
        model.free.set()
        np.testing.assert_array_equal(await last, np.arange(10)[:, None] * 2)
        await busy
        assert sum(model.batch_sizes) == 11  # nothing was computed for those who left

    run(work())


def test_random_cancelling_harms_nobody_else() -> None:
    async def work() -> None:
        dice = random.Random(1)
        batcher = Batcher(Model(), max_batch_size=8, max_waiting=10**6)
        requests = [np.arange(n * 100, n * 100 + dice.randint(1, 30))[:, None] for n in range(2000)]
        tasks = [asyncio.create_task(batcher.submit(request)) for request in requests]
        while leaving := [task for task in dice.sample(tasks, 100) if not task.done()]:
            for task in leaving[:20]:
                task.cancel()
            await asyncio.sleep(0.001)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        answered = [pair for pair in zip(requests, answers, strict=True) if isinstance(pair[1], np.ndarray)]
        assert 0 < len(answered) < 2000
        for request, answer in answered:
            np.testing.assert_array_equal(answer, request * 2)
        assert batcher.num_waiting == 0

    run(work())


def test_failed_batch_is_the_answer_of_its_requests_alone() -> None:
    async def work() -> None:
        batcher = Batcher(Model(), max_batch_size=2, max_waiting=100)
        bad = asyncio.create_task(batcher.submit(numbers(1, -1, 2, 3)))
        good = asyncio.create_task(batcher.submit(numbers(5, 6)))
        with pytest.raises(ZeroDivisionError):
            await bad
        np.testing.assert_array_equal(await good, numbers(10, 12))
        assert batcher.num_waiting == 0

    run(work())


def test_on_the_event_loop_the_same_is_true() -> None:
    async def work() -> None:
        model = Model()
        batcher = Batcher(model, max_batch_size=16, max_waiting=10**6, inline=True)
        requests = [np.arange(n * 100, n * 100 + n % 40 + 1)[:, None] for n in range(2000)]
        answers = await asyncio.gather(*map(batcher.submit, requests))
        for request, answer in zip(requests, answers, strict=True):
            np.testing.assert_array_equal(answer, request * 2)
        assert max(model.batch_sizes) == 16
        with pytest.raises(ZeroDivisionError):
            await batcher.submit(numbers(-1))
        np.testing.assert_array_equal(await batcher.submit(numbers(3)), numbers(6))

    run(work())


def test_a_request_whose_turn_comes_too_late_is_not_run() -> None:
    async def work() -> None:
        model = Model()
        batcher = Batcher(model, max_batch_size=4, max_waiting=100)
        busy = await run_busy(model, batcher)
        late = asyncio.create_task(batcher.submit(numbers(1), timeout=0.01))
        patient = asyncio.create_task(batcher.submit(numbers(2), timeout=30))
        await asyncio.sleep(0.05)
        model.free.set()
        await busy
        with pytest.raises(DeadlineError):
            await late
        np.testing.assert_array_equal(await patient, numbers(4))
        assert model.batch_sizes == [1, 1]

    run(work())


def test_a_request_that_would_wait_too_long_is_refused_at_once() -> None:
    """By how long samples took until now."""

    async def work() -> None:
        model = Model()
        batcher = Batcher(model, max_batch_size=1, max_waiting=1000)
        model.free.clear()
        first = asyncio.create_task(batcher.submit(numbers(0)))
        await asyncio.sleep(0.1)  # that one sample takes
        model.free.set()
        await first
        busy = await run_busy(model, batcher)
        waiting = [asyncio.create_task(batcher.submit(numbers(n))) for n in range(20)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match=r"20 samples wait, for about .* s; the request has 0.5 s"):
            await batcher.submit(numbers(1), timeout=0.5)
        model.free.set()
        await asyncio.gather(busy, *waiting, batcher.submit(numbers(1), timeout=60))

    run(work())


def test_each_batch_is_told_of() -> None:
    async def work() -> None:
        seen: list[tuple[int, int, float, float]] = []

        def observe(
            samples: np.ndarray, outputs: np.ndarray, queued: float, ran: float, sent: np.ndarray | None
        ) -> None:
            assert sent is None
            seen.append((len(samples), len(outputs), queued, ran))

        batcher = Batcher(Model(), max_batch_size=2, max_waiting=100, on_batch=observe)
        await batcher.submit(numbers(1, 2, 3))
        assert [(samples, outputs) for samples, outputs, _, _ in seen] == [(2, 2), (1, 1)]
        assert all(0 <= queued < 5 and 0 <= ran < 5 for _, _, queued, ran in seen)

    run(work())


def test_copies_in_a_batch_are_told_from_what_was_sent() -> None:
    async def work() -> None:
        seen: list[list[int]] = []

        def observe(samples: np.ndarray, _: np.ndarray, queued: float, ran: float, sent: np.ndarray | None) -> None:
            seen.append(samples[:, 0].tolist() if sent is None else samples[sent, 0].tolist())

        batcher = Batcher(Model(), max_batch_size=4, max_waiting=100, on_batch=observe)
        for samples, is_copy in ((numbers(1, 2), False), (numbers(3), True), (numbers(4), False), (numbers(5), True)):
            batcher.put(samples, lambda result: None, is_copy=is_copy)
        await batcher.submit(numbers(6))
        assert seen == [[1, 2, 4], [6]]

    run(work())


def test_an_answer_that_cannot_be_delivered_costs_nobody_else_theirs() -> None:
    async def work() -> None:
        batcher = Batcher(Model(), max_batch_size=8, max_waiting=100)

        def broken(result: Any) -> None:
            raise ConnectionResetError

        batcher.put(numbers(1), broken)
        np.testing.assert_array_equal(await batcher.submit(numbers(2)), numbers(4))

    run(work())
