"""Messages on their way take no more memory than the budget gives them, and hold up nobody who finishes theirs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import numpy as np
import psutil
import pytest
from grpc import StatusCode
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from raw_http2 import GRPC, RawHttp2
from tiny_grpc import PREFIX, Running, raw_request, triton

from thresher.errors import InvalidInputError
from thresher.serving.core.bundle import Bundle
from thresher.serving.core.byte_budget import MIB, ByteBudget
from thresher.serving.core.errors import OverloadedError
from thresher.serving.grpc import admission_control
from thresher.serving.grpc.admission_control import WINDOW_BYTES, AdmissionControl
from thresher.serving.grpc.inflate import inflate
from thresher.serving.grpc.status import CallError

INFER = PREFIX + "ModelInfer"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
IMAGES = np.random.default_rng(2).integers(0, 256, (2, 1, 8, 6), np.uint8)
BUDGET = 16 * MIB
SEND_ALL = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
QUIET_SECONDS = 1.0
"""Where nothing is taken for so long, nothing will be."""
NEVER = 3600.0
SERVE = """
import asyncio, gc, sys, uvloop
gc.disable()  # nothing large is to wait for it
sys.path[:0] = sys.argv[1:]
from tiny_grpc import Running
from tiny_service import make_info, make_onnx, CLASS_NAMES
from thresher.modalities.image.encoder import ImageEncoder
from thresher.serving.core.bundle import Bundle
from thresher.serving.core.byte_budget import ByteBudget
from thresher.serving.core.memory import trim_periodically
from thresher.serving.grpc import admission_control
admission_control.GRACE_SECONDS = 3600.0
encoder = ImageEncoder(channels=1, mean=(0.0,), std=(1.0,), height=8, width=6, class_names=CLASS_NAMES)
server = Running(Bundle(make_onnx(), encoder, make_info()), budget=ByteBudget(16 * 2**20))
asyncio.run_coroutine_threadsafe(trim_periodically(0.2, 2**20), server.loop)
print(server.server.port, flush=True)
sys.stdin.read()
server.close()
"""


@contextmanager
def served() -> Iterator[tuple[int, psutil.Process]]:
    """Serve in a process of its own, whose memory can be looked at; gives the port."""
    here = Path(__file__).parents[1]
    command = [sys.executable, "-c", SERVE, str(here), str(here.parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        try:
            yield int(process.stdout.readline()), psutil.Process(process.pid)
            process.stdin.close()
            assert process.wait(30) == 0
        finally:
            process.kill()


def infer(port: int, timeout: float) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port}", SEND_ALL) as channel:
        answer = channel.unary_unary(INFER)(raw_request(IMAGES).SerializeToString(), timeout=timeout)
    assert triton.ModelInferResponse.FromString(answer).outputs[0].shape == [2, 3]


def flood(clients: list[RawHttp2], num_streams: int, length: int) -> int:
    """Begin messages of ``length`` on each client, send all but the last byte if let; return what was sent."""
    left = {}
    for client in clients:
        for _ in range(num_streams):
            stream = client.begin(INFER, GRPC)
            client.send(stream, b"\0" + length.to_bytes(4, "big"))
            left[client, stream] = length - 1
    total, moved = 0, time.monotonic()
    while time.monotonic() < moved + QUIET_SECONDS:
        for (client, stream), rest in left.items():
            if pushed := client.push(stream, rest):
                left[client, stream] = rest - pushed
                total, moved = total + pushed, time.monotonic()
        for client in clients:
            while client.receive(0.005):
                pass
    return total


@pytest.mark.slow
@pytest.mark.oddity("Service", "160 calls on 4 connections never finish their messages", "memory stays in its bound")
def test_unfinished_messages_of_many_connections_stay_within_the_bound() -> None:
    with served() as (port, process):
        infer(port, 20)
        before = process.memory_info().rss
        most = ByteBudget(BUDGET).limit // admission_control.MIN_PLACES
        clients = [RawHttp2(port) for _ in range(4)]
        sent = flood(clients, 40, most)
        grown = process.memory_info().rss - before
        # All places, and a window of each call that has none, with what the core keeps beside.
        assert BUDGET / 2 < sent < 2 * (BUDGET + 160 * WINDOW_BYTES), f"{sent / MIB:.0f} MiB taken"
        assert grown < 2 * (BUDGET + 160 * WINDOW_BYTES), f"{grown / MIB:.0f} MiB more"
        for client in clients[:3]:
            client.close()
        infer(port, 20)
        for client in clients[3:]:
            client.close()
        end = time.monotonic() + 20
        while process.memory_info().rss - before > BUDGET / 2 and time.monotonic() < end:
            time.sleep(0.1)
        kept = process.memory_info().rss - before
        assert kept < BUDGET / 2, f"{kept / MIB:.0f} MiB kept"
        infer(port, 5)


@pytest.mark.oddity("Service", "One connection leaves 60 messages unfinished", "others are answered at once")
def test_one_connection_takes_half_of_the_places_at_most(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission_control, "GRACE_SECONDS", NEVER)
    running = Running(bundle, budget=ByteBudget(BUDGET))
    client = RawHttp2(running.server.port)
    try:
        sent = flood([client], 60, BUDGET // admission_control.MIN_PLACES)
        assert sent < BUDGET / 2 + 62 * 2 * WINDOW_BYTES
        running.call("ModelInfer", raw_request(IMAGES))
    finally:
        client.close()
        running.close()


@pytest.mark.oddity("Service", "A client asks on and on and reads no answer", "nothing more is read of it")
def test_of_a_client_that_reads_no_answers_no_more_questions_are_read(bundle: Bundle) -> None:
    running = Running(bundle)
    client = RawHttp2(running.server.port, window=0)
    try:
        stream = client.begin(REFLECTION, GRPC)
        question = ServerReflectionRequest(host="x" * 8192, list_services="*").SerializeToString()
        left = (b"\0" + len(question).to_bytes(4, "big") + question) * 128
        sent, moved = 0, time.monotonic()
        while time.monotonic() < moved + QUIET_SECONDS and left:
            if offered := client.offer(stream, left):
                sent, left, moved = sent + offered, left[offered:], time.monotonic()
            client.receive(0.05)
        assert 0 < sent < 4 * WINDOW_BYTES
        running.call("ModelInfer", raw_request(IMAGES))
    finally:
        client.close()
        running.close()


def test_a_message_larger_than_a_share_of_the_budget(bundle: Bundle) -> None:
    running = Running(bundle, budget=ByteBudget(4 * MIB))
    try:
        error = running.refusal("ModelInfer", bytes(MIB + 1))
        assert error.code() is StatusCode.RESOURCE_EXHAUSTED and "larger than max" in error.details()
        assert running.refusal("ModelInfer", b"\xff" * MIB).code() is StatusCode.INVALID_ARGUMENT
        with running.predictor.budget.reserved(4 * MIB):
            full = running.refusal("ModelInfer", raw_request(IMAGES))
            assert full.code() is StatusCode.RESOURCE_EXHAUSTED and "in flight hold 4.0 MiB" in full.details()
            assert ("retry-after", "1") in [tuple(item) for item in full.trailing_metadata()]
        running.call("ModelInfer", raw_request(IMAGES))
        assert running.predictor.budget.used == 0
    finally:
        running.close()


@pytest.mark.oddity("Service", "40 large gRPC messages that are none", "INVALID_ARGUMENT, and none is kept in memory")
def test_refused_messages_are_not_kept_until_garbage_is_collected() -> None:
    with served() as (port, process), grpc.insecure_channel(f"127.0.0.1:{port}", SEND_ALL) as channel:
        before, num_bytes = process.memory_info().rss, BUDGET // admission_control.MIN_PLACES
        for _ in range(40):
            with pytest.raises(grpc.RpcError, match=r"not a valid inference\.ModelInferRequest"):
                channel.unary_unary(INFER)(bytes(num_bytes), timeout=20)
        grown = process.memory_info().rss - before
        assert grown < 10 * num_bytes, f"{grown / MIB:.0f} MiB more"


class Stream:
    """A call as admission control sees it, whose message comes when told to."""

    def __init__(self, peer: str) -> None:
        self._peer, self.came, self.is_asked = peer, asyncio.Event(), asyncio.Event()

    def peer(self) -> str:
        return self._peer

    async def read(self) -> bytes:
        self.is_asked.set()
        await self.came.wait()
        return b"message"


def test_places_are_given_in_turn_and_by_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission_control, "GRACE_SECONDS", NEVER)

    async def work() -> None:
        taken = AdmissionControl(ByteBudget(4 * MIB), 60)
        streams = {name: [Stream(name) for _ in range(4)] for name in "abc"}
        tasks = [asyncio.create_task(taken.read(one)) for name in "abc" for one in streams[name]]  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        def asked() -> list[str]:
            return [f"{name}{place}" for name in "abc" for place in range(4) if streams[name][place].is_asked.is_set()]

        assert asked() == ["a0", "a1", "b0", "b1"]
        streams["b"][0].came.set()
        await asyncio.wait([tasks[4]])
        await asyncio.sleep(0)
        assert asked() == ["a0", "a1", "b0", "b1", "b2"]
        tasks[2].cancel()  # a client that leaves while it waits
        tasks[0].cancel()  # and one whose message is on its way
        await asyncio.wait([tasks[0], tasks[2]])
        await asyncio.sleep(0)
        assert asked() == ["a0", "a1", "a3", "b0", "b1", "b2"]
        for name in "abc":
            for stream in streams[name]:
                stream.came.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results.count(b"message") == 10

    asyncio.run(work())


def test_the_oldest_message_makes_place_for_those_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission_control, "GRACE_SECONDS", 0.1)

    async def work() -> None:
        taken = AdmissionControl(ByteBudget(4 * MIB), 60)
        streams = [Stream(name) for name in "aabb"]
        stuck = [asyncio.create_task(taken.read(one)) for one in streams]  # type: ignore[arg-type]
        await asyncio.gather(*(one.is_asked.wait() for one in streams))
        mine = Stream("c")
        mine.came.set()
        assert await taken.read(mine) == b"message"  # type: ignore[arg-type]
        with pytest.raises(OverloadedError, match=r"had not arrived after 0.1 s, and other calls waited"):
            await stuck[0]
        assert not any(task.done() for task in stuck[1:])
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)

    asyncio.run(work())


def test_no_more_calls_run_than_there_are_windows_for() -> None:
    taken = AdmissionControl(ByteBudget(4 * MIB), 60)
    with ExitStack() as calls:
        for _ in range(taken.most_calls):
            calls.enter_context(taken.call())
        with pytest.raises(OverloadedError, match="64 calls run, of at most 64"), taken.call():
            raise AssertionError("must not come in")
    with taken.call():
        pass
    taken.close()
    with pytest.raises(CallError, match="shutting down"), taken.call():
        raise AssertionError("must not come in")


@pytest.mark.oddity("Service", "A message of gzip becomes a thousand times as large", "RESOURCE_EXHAUSTED, bounded")
@pytest.mark.parametrize("bits", [31, 15], ids=["gzip", "deflate"])
def test_compressed_messages_stay_within_the_bound(bits: int) -> None:
    def compressed(content: bytes) -> bytes:
        compressor = zlib.compressobj(9, zlib.DEFLATED, bits)
        return compressor.compress(content) + compressor.flush()

    for size in (0, 1, 1000, MIB - 1, MIB):
        assert inflate(compressed(bytes(size)), MIB) == bytes(size)
    with pytest.raises(CallError, match="larger than max"):
        inflate(compressed(bytes(MIB + 1)), MIB)
    with pytest.raises(InvalidInputError, match="breaks off"):
        inflate(compressed(bytes(1000))[:-5], MIB)
    damaged = bytearray(compressed(b"message" * 9))
    damaged[5 if bits == 15 else 15] ^= 255
    with pytest.raises(InvalidInputError, match="damaged"):
        inflate(bytes(damaged), MIB)
    for plain in (b"", b"\x0a\x01a", b"\x1f", b"x", b"x\x00"):
        assert inflate(plain, MIB) == plain
