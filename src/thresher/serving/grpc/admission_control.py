"""Admission control: bounds the memory of all messages that are on their way together.

gRPC's core gathers a message in memory of its own until it is whole, and says nothing of it before; a client may leave
as many unfinished as it has calls. But the core takes in no more than a window of a call whose message nobody has asked
for. So a message is asked for only where the largest that there may be still fits, and the other calls wait their turn.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from grpc import StatusCode
from grpc.aio import EOF, ServicerContext

from thresher.serving.core.byte_budget import ByteBudget
from thresher.serving.core.errors import DeadlineError, OverloadedError
from thresher.serving.core.limits import MAX_BODY_BYTES
from thresher.serving.grpc.inflate import inflate
from thresher.serving.grpc.status import CallError

WINDOW_BYTES = 64 * 2**10
"""What the core takes in of a message that nobody has asked for."""
MIN_PLACES = 4
"""For messages on their way at a time; where the budget has fewer of the largest, messages must be smaller."""
MIN_CALLS, MAX_CALLS = 64, 2048
"""Of all connections, whatever the budget."""
GRACE_SECONDS = 3.0
"""How long a message may be on its way while calls wait for its place."""


class Reading:
    """A message that a call is receiving."""

    def __init__(self, peer: str, limit: asyncio.Timeout, began: float) -> None:
        self.peer, self.limit, self.began = peer, limit, began
        self.is_cancelled = False

    def cancel(self) -> None:
        """Stop waiting for the message, so that another call gets its place."""
        if not self.limit.expired():
            self.is_cancelled = True
            self.limit.reschedule(0)


class Waiting:
    """A call that waits for a place."""

    def __init__(self, peer: str, began: float) -> None:
        self.peer, self.began = peer, began
        self.place: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class AdmissionControl:
    """Reads the messages of all calls of one server, on its event loop.

    Of the places for messages that are on their way one connection has half at most: a client that leaves its messages
    unfinished holds up nobody else. Connections that wait for a place take turns, and where they wait long enough, the
    oldest message makes place for them.
    """

    def __init__(self, budget: ByteBudget, max_seconds: float) -> None:
        """Read messages that arrive within ``max_seconds``, all together at most as large as ``budget`` is."""
        self.most_bytes = min(MAX_BODY_BYTES, budget.limit // MIN_PLACES)
        """The largest message that is accepted."""
        self.most_calls = max(MIN_CALLS, min(MAX_CALLS, budget.limit // WINDOW_BYTES))
        """The calls that may run at a time, whether their messages have arrived or not."""
        self._num_places = budget.limit // self.most_bytes
        self._share = self._num_places // 2
        self._max_seconds = max_seconds
        self._readings: dict[Reading, None] = {}  # the oldest first
        self._by_peer: Counter[str] = Counter()
        self._waiting: deque[Waiting] = deque()
        self._turns: dict[str, int] = {}  # when each connection was last given a place that it had waited for
        self._turn = 0
        self._timer: asyncio.TimerHandle | None = None
        self._num_calls = 0
        self._is_closed = False

    def close(self) -> None:
        """Take no more calls."""
        self._is_closed = True

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count a call for as long as the block runs.

        Raises:
            CallError: the server is shutting down.
            OverloadedError: too many calls run already.
        """
        if self._is_closed:
            raise CallError(StatusCode.UNAVAILABLE, "The server is shutting down.")
        if self._num_calls >= self.most_calls:
            raise OverloadedError(f"{self._num_calls} calls run, of at most {self.most_calls}.")
        self._num_calls += 1
        try:
            yield
        finally:
            self._num_calls -= 1

    async def read(self, context: ServicerContext) -> bytes | None:
        """Return the next message of a call, decompressed; None after the last.

        Raises:
            DeadlineError: it did not come in time.
            InvalidInputError, CallError: it cannot be read, or is too large once decompressed.
            OverloadedError: its place was needed, or none was free.
        """
        reading: Reading | None = None
        try:
            async with asyncio.timeout(self._max_seconds) as limit:
                reading = await self._take_place(context.peer(), limit)
                try:
                    message: Any = await context.read()
                finally:
                    self._free_place(reading)
        except TimeoutError as error:
            raise self._refusal(reading) from error
        return None if message is EOF else inflate(message, self.most_bytes)

    def _refusal(self, reading: Reading | None) -> Exception:
        if reading is None:
            limits = f"At most {self._num_places} messages are received at a time, {self._share} on one connection"
            return OverloadedError(f"{limits}; no place became free.")
        if reading.is_cancelled:
            waited = f"The message had not arrived after {GRACE_SECONDS:g} s"
            return OverloadedError(f"{waited}, and other calls waited for its place.")
        return DeadlineError(f"The message took more than {self._max_seconds:g} s to arrive.")

    async def _take_place(self, peer: str, limit: asyncio.Timeout) -> Reading:
        loop = asyncio.get_running_loop()
        if not self._has_place(peer):
            waiting = Waiting(peer, loop.time())
            self._waiting.append(waiting)
            self._cancel_oldest_in(GRACE_SECONDS)
            try:
                await waiting.place
            except BaseException:
                self._withdraw(waiting)
                raise
        else:
            self._by_peer[peer] += 1
        reading = Reading(peer, limit, loop.time())
        self._readings[reading] = None
        return reading

    def _has_place(self, peer: str) -> bool:
        return self._by_peer.total() < self._num_places and self._by_peer[peer] < self._share

    def _free_place(self, reading: Reading) -> None:
        del self._readings[reading]
        self._release_place(reading.peer)

    def _release_place(self, peer: str) -> None:
        self._by_peer[peer] -= 1
        if not self._by_peer[peer]:
            del self._by_peer[peer]
        if not self._waiting:
            return
        able = [one for one in self._waiting if not one.place.done() and self._has_place(one.peer)]
        if not able:
            return
        # The connection's turn that had its last one longest ago, however many calls the others have waiting.
        waiting = min(able, key=lambda one: self._turns.get(one.peer, 0))
        self._waiting.remove(waiting)
        self._turn += 1
        self._turns[waiting.peer] = self._turn
        if not self._waiting:
            self._turns.clear()
        self._by_peer[waiting.peer] += 1
        waiting.place.set_result(None)

    def _withdraw(self, waiting: Waiting) -> None:
        """Remove a call that waits no longer; a place that it has just been given becomes free again."""
        if waiting in self._waiting:
            self._waiting.remove(waiting)
        elif waiting.place.done() and not waiting.place.cancelled():
            self._release_place(waiting.peer)

    def _cancel_oldest_in(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._cancel_oldest)

    def _cancel_oldest(self) -> None:
        """Cancel the oldest messages, one for each call that has waited for GRACE_SECONDS."""
        self._timer = None
        if not self._waiting:
            return
        now = asyncio.get_running_loop().time()
        old = [one for one in self._readings if now - one.began >= GRACE_SECONDS and not one.is_cancelled]
        for waiting in self._waiting:
            if now - waiting.began < GRACE_SECONDS:
                break
            is_at_share = self._by_peer[waiting.peer] >= self._share
            for reading in old:
                if not is_at_share or reading.peer == waiting.peer:
                    old.remove(reading)
                    reading.cancel()
                    break
        self._cancel_oldest_in(GRACE_SECONDS / 5)


def options(admission: AdmissionControl) -> tuple[tuple[str, int], ...]:
    """Return the options of grpcio's server that keep the core's memory within what ``admission`` counts on."""
    return (
        ("grpc.max_receive_message_length", admission.most_bytes),
        ("grpc.per_message_decompression", 0),  # the core's has no bound: 1 MiB of zeros in gzip would become 1 GiB
        ("grpc.http2.lookahead_bytes", WINDOW_BYTES),
        ("grpc.http2.bdp_probe", 0),  # which makes the windows larger on fast connections
        ("grpc.max_concurrent_streams", admission.most_calls),
    )
