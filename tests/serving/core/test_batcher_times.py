"""What the batcher counts: how long requests waited and will wait, whose turn is next, and who is gone by then."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

from thresher.modalities.text.model_input import TextInput
from thresher.serving.core import batcher as batcher_module
from thresher.serving.core.batcher import Batcher, Run
from thresher.serving.core.errors import OverloadedError
from thresher.serving.core.length_groups import LengthGroups

TEXT = TextInput(vocabulary_size=9, max_length=100, padding=1, pads_within=True)
SHORT, LONG = 7, 100
LAST = len(LengthGroups(TEXT).ends) - 1


class Model:
    """Takes the seconds that a test says of a clock that nothing else moves, and remembers how long its samples are."""

    def __init__(self) -> None:
        self.now, self.takes = 0.0, {1: 1.0, SHORT: 0.1, LONG: 1.0}
        self.lengths: list[int] = []

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        self.lengths.append(samples.shape[1])
        self.now += self.takes[samples.shape[1]]
        return samples


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    model = Model()
    monkeypatch.setattr(batcher_module, "perf_counter", lambda: model.now)
    return model


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


def numbers(count: int) -> np.ndarray:
    return np.zeros((count, 1))


def texts(count: int, length: int) -> np.ndarray:
    return np.full((count, length), 2)


def of_texts(model: Model) -> Batcher:
    groups = LengthGroups(TEXT)
    return Batcher(model, [1] * len(groups.ends), 10**6, TEXT.join, inline=True, groups=groups)


def ignore(result: object) -> None: ...


def test_a_batch_has_waited_as_long_as_its_oldest_request(model: Model) -> None:
    async def work() -> None:
        seen: list[tuple[float, float]] = []
        batcher = Batcher(model, 4, 100, inline=True, on_batch=lambda *told: seen.append(told[2:4]))
        batcher.put(numbers(1), ignore)
        model.now = 2.0
        batcher.put(numbers(3), ignore)
        model.now = 5.0
        await asyncio.sleep(0)
        assert seen == [(5.0, 1.0)] and batcher.last_run == Run(5.0, 1.0, 4)

    run(work())


def test_the_time_to_wait_is_of_samples_and_one_odd_batch_hardly_changes_it(model: Model) -> None:
    async def work() -> None:
        batcher = Batcher(model, 10, 100, inline=True)
        await batcher.submit(numbers(10))  # 0.1 s each
        batcher.put(numbers(5), ignore)
        with pytest.raises(OverloadedError, match=r"5 samples wait, for about 0\.5 s; the request has 0\.4 s"):
            batcher.check_room(timeout=0.4)
        batcher.check_room(timeout=0.6)
        model.takes[1] = 0.5
        await asyncio.sleep(0)
        model.takes[1] = 10.0
        await batcher.submit(numbers(1))
        batcher.put(numbers(1), ignore)
        with pytest.raises(OverloadedError, match=r"1 samples wait, for about 1\.1 s"):
            batcher.check_room(timeout=1.0)
        batcher.check_room(timeout=1.2)

    run(work())


def test_nobody_waits_longer_than_all_that_waits_takes(model: Model) -> None:
    async def work() -> None:
        batcher = of_texts(model)
        for length in (SHORT, LONG):
            await batcher.submit(texts(1, length))
        batcher.put(texts(10, LONG), ignore)
        batcher.put(texts(1, SHORT), ignore)
        batcher.check_room(timeout=10.2, groups=[LAST])
        with pytest.raises(OverloadedError, match=r"for about 10\.1 s"):
            batcher.check_room(timeout=10.0, groups=[LAST])
        with pytest.raises(OverloadedError, match=r"for about 0\.2 s"):
            batcher.check_room(timeout=0.1, groups=[0])

    run(work())


def test_short_requests_that_come_one_by_one_keep_their_turn(model: Model) -> None:
    async def work() -> None:
        batcher = of_texts(model)

        def again(result: object) -> None:
            if model.lengths.count(SHORT) < 5:
                batcher.put(texts(1, SHORT), again)

        batcher.put(texts(4, LONG), ignore)
        await asyncio.sleep(0)
        again(None)
        while model.lengths.count(SHORT) < 5:
            await asyncio.sleep(0)
        assert model.lengths == [LONG, *[SHORT] * 5]

    run(work())


def test_who_leaves_while_the_batch_runs_gets_no_answer() -> None:
    async def work() -> None:
        free, entered, seen = threading.Event(), threading.Event(), list[object]()

        def compute(samples: np.ndarray) -> np.ndarray:
            entered.set()
            assert free.wait(10)
            return samples

        batcher = Batcher(compute, 4, 100)
        entry = batcher.put(numbers(1), seen.append)
        await asyncio.to_thread(entered.wait, 10)
        batcher.cancel(entry)
        free.set()
        await batcher.submit(numbers(2))
        assert seen == []

    run(work())


def test_an_answer_beside_a_cancellation_is_no_error(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        batcher = Batcher(model, 4, 100, inline=True)
        task = asyncio.create_task(batcher.submit(numbers(1)))
        await asyncio.sleep(0)
        task.cancel()  # its batch runs before it hears of it
        with pytest.raises(asyncio.CancelledError):
            await task

    run(work())
    assert model.lengths == [1] and not caplog.records
