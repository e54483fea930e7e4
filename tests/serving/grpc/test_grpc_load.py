"""One connection carries whatever many clients send on it: nothing is lost, and each answer is its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
from grpc import StatusCode
from grpc.aio import AioRpcError
from tiny_grpc import PREFIX, Running, raw_request, triton

from thresher.serving.core.bundle import Bundle
from thresher.serving.core.limits import MAX_BODY_BYTES

INFER = PREFIX + "ModelInfer"
IMAGES = np.random.default_rng(8).integers(0, 256, (500, 1, 8, 6), np.uint8)
CALLERS, CALLS, CANCELLED = 64, 10_500, 1_100
OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


@pytest.fixture(scope="module")
def running(bundle: Bundle) -> Iterator[Running]:
    server = Running(bundle)
    yield server
    server.close()


@pytest.fixture(scope="module")
def expected(running: Running) -> np.ndarray:
    """[N, 3]; no two images have the same answer."""
    outputs = np.concatenate([running.infer(image[None]) for image in IMAGES])
    assert len(np.unique(outputs, axis=0)) == len(IMAGES)
    return outputs


def request(number: int, length: int = 0) -> bytes:
    """Return the request for image ``number``, whose id it is; of just ``length`` bytes where that is given."""
    content = raw_request(IMAGES[number : number + 1], id=str(number)).SerializeToString()
    return content + (filler(length - len(content)) if length else b"")


def filler(length: int) -> bytes:
    """Return ``length`` bytes of a field that the message does not have, which protobuf passes over."""
    for tag in (b"\x7a", b"\xc2\x3e"):  # fields 15 and 1000, with lengths that are varints
        for size in range(length - 8, length):
            begin = tag + varint(size)
            if len(begin) + size == length:
                return begin + b"x" * size
    raise AssertionError(length)


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def is_own(content: bytes, number: int, expected: np.ndarray) -> bool:
    answer = triton.ModelInferResponse.FromString(content)
    return answer.id == str(number) and np.allclose(
        np.frombuffer(answer.raw_output_contents[0], np.float32), expected[number], rtol=0, atol=1e-6
    )


@pytest.mark.slow
@pytest.mark.oddity("Service", "10,500 calls and 1,100 cancelled on one connection", "none lost or mixed up")
def test_one_connection_carries_very_many_calls(running: Running, expected: np.ndarray) -> None:
    ends: Counter[str] = Counter()

    async def call(method: grpc.aio.UnaryUnaryMultiCallable, place: int) -> None:
        number = place % len(IMAGES)
        ends["own" if is_own(await method(request(number), timeout=60), number, expected) else "mixed up"] += 1

    async def cancel(method: grpc.aio.UnaryUnaryMultiCallable, place: int) -> None:
        doomed = method(request(place % len(IMAGES)), timeout=60)
        for _ in range(place % 4):
            await asyncio.sleep(0)
        doomed.cancel()
        try:
            await doomed
        except asyncio.CancelledError:
            ends["cancelled"] += 1

    async def work() -> None:
        async with grpc.aio.insecure_channel(running.address, OPTIONS) as channel:
            method, places = channel.unary_unary(INFER), iter(range(CALLS))

            async def caller() -> None:
                for place in places:
                    if place % (CALLS // CANCELLED) == 0:
                        await cancel(method, place)
                    await call(method, place)

            await asyncio.gather(*(caller() for _ in range(CALLERS)))

    asyncio.run(work())
    assert ends["own"] == CALLS and not ends["mixed up"]
    assert ends["cancelled"] >= CANCELLED
    assert running.predictor.budget.used == 0


SIZES = [1024, *(2**16 + by for by in (-1, 0, 1)), 150_000, 600_000, 2 * 2**20, *(2**22 + by for by in (-1, 0, 1))]


@pytest.mark.parametrize("length", [*SIZES, MAX_BODY_BYTES - 1, MAX_BODY_BYTES])
def test_messages_of_any_size(running: Running, expected: np.ndarray, length: int) -> None:
    content = request(7, length)
    assert len(content) == length
    with grpc.insecure_channel(running.address, OPTIONS) as channel:
        assert is_own(channel.unary_unary(INFER)(content, timeout=60), 7, expected)


def test_messages_above_the_largest(running: Running) -> None:
    for length in (MAX_BODY_BYTES + 1, MAX_BODY_BYTES + 2**16):
        error = running.refusal("ModelInfer", request(7, length))
        assert error.code() is StatusCode.RESOURCE_EXHAUSTED and "larger than max" in error.details()


@pytest.mark.slow
def test_large_messages_of_many_at_a_time(running: Running, expected: np.ndarray) -> None:
    async def work() -> list[bool]:
        async with grpc.aio.insecure_channel(running.address, OPTIONS) as channel:
            method = channel.unary_unary(INFER)

            async def one(place: int) -> bool:
                return is_own(await method(request(place, SIZES[place % 8]), timeout=60), place, expected)

            return await asyncio.gather(*(one(place) for place in range(128)))

    assert all(asyncio.run(work()))
    assert running.predictor.budget.used == 0


@pytest.mark.oddity("Service", "A service is stopped while gRPC calls run", "each call is answered or UNAVAILABLE")
def test_a_server_that_stops_under_load_loses_nothing(bundle: Bundle, expected: np.ndarray) -> None:
    running = Running(bundle)
    ends: Counter[str] = Counter()

    async def caller(method: grpc.aio.UnaryUnaryMultiCallable, first: int) -> None:
        for place in range(10_000):
            number = (first + place) % len(IMAGES)
            try:
                answer = await method(request(number), timeout=30)
            except AioRpcError as error:
                ends[error.code().name] += 1
                return
            ends["own" if is_own(answer, number, expected) else "mixed up"] += 1

    async def work() -> None:
        async with grpc.aio.insecure_channel(running.address, [*OPTIONS, ("grpc.enable_retries", 0)]) as channel:
            method = channel.unary_unary(INFER)
            callers = [asyncio.create_task(caller(method, first)) for first in range(16)]
            while ends["own"] < 200:
                await asyncio.sleep(0.01)
            closing = asyncio.run_coroutine_threadsafe(running.server.close(10), running.loop)
            await asyncio.gather(*callers)
            closing.result(20)

    asyncio.run(work())
    running.close()
    assert ends.keys() == {"own", "UNAVAILABLE"} and ends["UNAVAILABLE"] == 16
