"""Short and long samples are never computed together, and neither waits for ever for the other."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

from thresher.modalities.image.encoder import ImageEncoder
from thresher.modalities.series.model_input import SeriesInput
from thresher.modalities.text.model_input import TextInput
from thresher.serving.core import autotune
from thresher.serving.core import batcher as batcher_module
from thresher.serving.core.autotune import measure_paces
from thresher.serving.core.batcher import Batcher
from thresher.serving.core.errors import DeadlineError, OverloadedError
from thresher.serving.core.length_groups import LengthGroups

PADDING = 1
TEXT = TextInput(vocabulary_size=10**6, max_length=100, padding=PADDING, pads_within=True)
SHORT, LONG = 7, 100


class Model:
    """Answers the sum of a text's tokens, trimmed as a session does it; remembers its batches; waits until `free`."""

    def __init__(self) -> None:
        self.batches: list[np.ndarray] = []
        self.free, self.entered = threading.Event(), threading.Event()
        self.free.set()

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        self.entered.set()
        assert self.free.wait(10)
        self.batches.append(TEXT.trim(samples))
        return sums(samples)


class Clock:
    """Time that passes where a test says so, and nowhere else."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (batcher_module, autotune):
        monkeypatch.setattr(module, "perf_counter", clock)
    return clock


def sums(samples: np.ndarray) -> np.ndarray:
    return np.asarray(np.where(samples == PADDING, 0, samples).sum(axis=1, keepdims=True))


def texts(*lengths: int, first: int = 2) -> np.ndarray:
    samples = np.full((len(lengths), max(lengths)), PADDING, np.int64)
    for row, length in enumerate(lengths):
        samples[row, :length] = first + row
    return samples


def make(model: Model, *sizes: int, **options: Any) -> Batcher:
    groups = LengthGroups(TEXT)
    return Batcher(model, sizes or [8] * len(groups.ends), 10**6, TEXT.join, groups=groups, **options)


async def hold(model: Model, batcher: Batcher, length: int = SHORT) -> asyncio.Task[np.ndarray]:
    """Occupy the model until `free` is set."""
    model.free.clear()
    model.entered.clear()
    task = asyncio.create_task(batcher.submit(texts(length)))
    await asyncio.to_thread(model.entered.wait, 10)
    return task


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


def lengths_of(model: Model) -> list[list[int]]:
    return [TEXT.lengths(batch).tolist() for batch in model.batches]


@pytest.mark.parametrize(
    ("longest", "ends"),
    [(1, (1,)), (16, (16,)), (17, (9, 17)), (100, (13, 25, 50, 100)), (256, (16, 32, 64, 128, 256))],
)
def test_a_group_ends_at_less_than_twice_what_the_one_before_does(longest: int, ends: tuple[int, ...]) -> None:
    assert LengthGroups(TEXT.model_copy(update={"max_length": longest})).ends == ends


def test_samples_without_a_length_are_one_group() -> None:
    image = ImageEncoder(channels=1, mean=(0.0,), std=(1.0,), height=8, width=6, class_names=("a", "b")).model_input
    groups = LengthGroups(image)
    (share,) = groups.split(image.example(5))
    assert len(groups.ends) == 1 and share.places is None and len(share.samples) == 5
    assert groups.example(0, 2).shape == (2, *image.longest)


@pytest.mark.parametrize(("length", "group"), [(1, 0), (13, 0), (14, 1), (25, 1), (26, 2), (50, 2), (51, 3), (100, 3)])
def test_a_sample_is_in_the_group_of_its_own_length_however_far_it_is_padded(length: int, group: int) -> None:
    padded = np.pad(texts(length), ((0, 0), (0, 100 - length)), constant_values=PADDING)
    (share,) = LengthGroups(TEXT).split(padded)
    assert (share.group, share.places, share.samples.shape) == (group, None, (1, length))


def test_series_are_grouped_by_where_they_end() -> None:
    series = SeriesInput(channels=2, max_length=40, mean=(0.0, 0.0), std=(1.0, 1.0))
    samples = np.zeros((3, 40, 2))
    samples[1, 5:] = np.nan
    shares = LengthGroups(series).split(samples)
    assert [(share.group, share.places.tolist(), share.samples.shape) for share in shares if share.places is not None] \
        == [(0, [1], (1, 5, 2)), (2, [0, 2], (2, 40, 2))]  # fmt: skip


def test_thousands_of_mixed_requests_get_their_own_answers_in_batches_of_like_lengths() -> None:
    async def work() -> None:
        model, dice = Model(), random.Random(0)
        batcher = make(model, 16, 8, 4, 2)
        requests = [
            texts(*(dice.choice((1, 5, 13, 14, 30, 60, 100)) for _ in range(dice.choice((1, 1, 1, 7, 40)))), first=n)
            for n in range(2, 1500)
        ]
        answers = await asyncio.gather(*map(batcher.submit, requests))
        for request, answer in zip(requests, answers, strict=True):
            np.testing.assert_array_equal(answer, sums(request))
        assert batcher.num_waiting == 0
        for batch, lengths in zip(model.batches, lengths_of(model), strict=True):
            assert batch.shape[1] == max(lengths)  # padded to its own longest
            group = int(np.searchsorted(LengthGroups(TEXT).ends, max(lengths)))
            assert group == 0 or min(lengths) > LengthGroups(TEXT).ends[group - 1]
            assert len(batch) <= (16, 8, 4, 2)[group]

    run(work())


def test_short_requests_do_not_wait_for_all_long_ones_before_them(clock: Clock) -> None:
    async def work() -> None:
        model = Model()
        batcher = make(model, 4, 4, 4, 2)
        busy = await hold(model, batcher, LONG)
        waiting = [asyncio.create_task(batcher.submit(texts(length))) for length in [*[LONG] * 5, *[SHORT] * 5]]
        await asyncio.sleep(0)
        clock.seconds += 0.01
        model.free.set()
        await asyncio.gather(busy, *waiting)
        assert lengths_of(model)[1:] == [[SHORT] * 4, [SHORT], [LONG] * 2, [LONG] * 2, [LONG]]

    run(work())


def test_groups_that_wait_share_the_time_evenly(clock: Clock) -> None:
    seconds = {SHORT: 0.0, LONG: 0.0}

    def compute(samples: np.ndarray) -> np.ndarray:
        clock.seconds += 0.0002 * samples.shape[1]
        seconds[samples.shape[1]] += 0.0002 * samples.shape[1]
        return sums(samples)

    async def work() -> None:
        batcher = Batcher(compute, [2] * 4, 10**6, TEXT.join, groups=LengthGroups(TEXT))
        long = asyncio.create_task(batcher.submit(texts(*[LONG] * 40)))
        short = asyncio.create_task(batcher.submit(texts(*[SHORT] * 1000)))
        await long
        shares = dict(seconds)
        assert not short.done()
        assert 0.5 < shares[SHORT] / shares[LONG] < 2, shares
        await short

    run(work())


def test_a_group_that_waited_for_nothing_has_saved_no_time_up() -> None:
    async def work() -> None:
        model = Model()
        batcher = make(model, 4, 4, 4, 2)
        for _ in range(5):
            await batcher.submit(texts(SHORT))
        had = batcher._used[0]
        busy = await hold(model, batcher)
        waiting = [asyncio.create_task(batcher.submit(texts(length))) for length in (LONG, LONG, LONG)]
        await asyncio.sleep(0)
        assert batcher._used[3] == had > 0
        model.free.set()
        await asyncio.gather(busy, *waiting)

    run(work())


def test_a_long_request_comes_to_its_turn_while_short_ones_never_end() -> None:
    async def work() -> None:
        model = Model()
        batcher = make(model)
        ended = asyncio.Event()

        async def ask_again() -> None:
            while not ended.is_set():
                await batcher.submit(texts(SHORT))

        callers = [asyncio.create_task(ask_again()) for _ in range(50)]
        await asyncio.sleep(0)
        before = len(model.batches)
        await batcher.submit(texts(LONG))
        came = next(n for n, lengths in enumerate(lengths_of(model)[before:]) if LONG in lengths)
        ended.set()
        await asyncio.gather(*callers)
        assert came <= 2  # behind the one that runs, and the next at most

    run(work())


def test_short_requests_come_to_their_turn_within_one_large_request_of_long_ones() -> None:
    async def work() -> None:
        model = Model()
        batcher = make(model, 8, 8, 8, 2)
        large = asyncio.create_task(batcher.submit(texts(*[LONG] * 200)))
        await asyncio.sleep(0)
        await batcher.submit(texts(SHORT))
        assert len(model.batches) <= 3 and not large.done()
        np.testing.assert_array_equal(await large, sums(texts(*[LONG] * 200)))

    run(work())


def test_a_request_of_many_lengths_that_is_cancelled_frees_all_of_its_places() -> None:
    async def work() -> None:
        model = Model()
        batcher = make(model)
        busy = await hold(model, batcher)
        gone = asyncio.create_task(batcher.submit(texts(SHORT, LONG, 30, SHORT)))
        stays = asyncio.create_task(batcher.submit(texts(LONG, SHORT)))
        await asyncio.sleep(0)
        assert batcher.num_waiting == 6
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert batcher.num_waiting == 2
        model.free.set()
        np.testing.assert_array_equal(await stays, sums(texts(LONG, SHORT)))
        await busy
        assert sum(map(len, model.batches)) == 3

    run(work())


def test_what_is_too_late_in_one_group_holds_up_no_other(clock: Clock) -> None:
    async def work() -> None:
        model = Model()
        batcher = make(model)
        busy = await hold(model, batcher)
        late = [asyncio.create_task(batcher.submit(texts(LONG, SHORT), timeout=0.01)) for _ in range(3)]
        patient = asyncio.create_task(batcher.submit(texts(SHORT), timeout=30))
        await asyncio.sleep(0)
        clock.seconds += 0.05
        model.free.set()
        np.testing.assert_array_equal(await patient, sums(texts(SHORT)))
        assert [type(each) for each in await asyncio.gather(*late, return_exceptions=True)] == [DeadlineError] * 3
        await busy
        assert batcher.num_waiting == 0 and lengths_of(model) == [[SHORT], [SHORT]]

    run(work())


def test_a_request_fails_once_where_one_of_its_batches_does() -> None:
    async def work() -> None:
        def break_on_long(samples: np.ndarray) -> np.ndarray:
            if samples.shape[1] > 50:
                raise ZeroDivisionError("the model broke")
            return sums(samples)

        batcher = Batcher(break_on_long, [4] * 4, 100, TEXT.join, groups=LengthGroups(TEXT))
        bad = asyncio.create_task(batcher.submit(texts(*[SHORT] * 9, LONG)))
        good = asyncio.create_task(batcher.submit(texts(SHORT)))
        with pytest.raises(ZeroDivisionError):
            await bad
        np.testing.assert_array_equal(await good, sums(texts(SHORT)))
        assert batcher.num_waiting == 0

    run(work())


def test_the_time_that_a_request_would_wait_is_counted_by_what_each_group_takes(clock: Clock) -> None:
    async def work() -> None:
        model = Model()
        batcher = make(model)
        slow = await hold(model, batcher, LONG)
        clock.seconds += 0.2  # that a long one takes
        model.free.set()
        await slow
        await batcher.submit(texts(SHORT))
        busy = await hold(model, batcher)
        waiting = [asyncio.create_task(batcher.submit(texts(SHORT))) for _ in range(20)]
        await asyncio.sleep(0)
        waiting.append(asyncio.create_task(batcher.submit(texts(SHORT), timeout=1.9)))  # short ones are quick
        await asyncio.sleep(0)
        waiting += [asyncio.create_task(batcher.submit(texts(LONG))) for _ in range(10)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match=r"31 samples wait, for about [2-9]\.\d s; the request has 1.9 s"):
            await batcher.submit(texts(SHORT, LONG), timeout=1.9)
        batcher.check_room(1, 1.9)  # before a text is read, it may be a short one
        waiting.append(asyncio.create_task(batcher.submit(texts(SHORT), timeout=1.9)))
        await asyncio.sleep(0)
        model.free.set()
        await asyncio.gather(busy, *waiting)

    run(work())


def test_batches_of_short_samples_are_larger_where_long_ones_take_longer(clock: Clock) -> None:
    def compute(samples: np.ndarray) -> np.ndarray:
        clock.seconds += 0.0001 * samples.size
        return samples

    sizes = [pace.max_batch_size for pace in measure_paces(compute, LengthGroups(TEXT), 64, 0.04)]
    assert sizes[-1] <= 4 < sizes[0] and sizes == sorted(sizes, reverse=True)
    assert not any(pace.inline for pace in measure_paces(compute, LengthGroups(TEXT), 64, 0.04))
