"""One call: its messages in, and its answer or its refusal out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter
from typing import TYPE_CHECKING, Any, NoReturn

from grpc import StatusCode

from thresher.serving.reply import REQUEST_ID, request_id
from thresher.serving.rpc.contents import parse
from thresher.serving.rpc.refusals import CallError
from thresher.serving.rpc.service import Method
from thresher.serving.rpc.wire import Fields, check_size, read_deadline, take_message
from thresher.serving.tracing import Trace

if TYPE_CHECKING:
    from thresher.serving.rpc.connection import Connection

MOST_MESSAGES_WAITING = 64
"""Of one stream."""


class Call:
    """One call of a connection; the servicers of grpcio's health and reflection take it for their context."""

    def __init__(self, connection: Connection, stream_id: int, headers: Fields) -> None:
        self._connection, self.stream_id = connection, stream_id
        fields = dict(headers)
        self.name = request_id(fields.get(REQUEST_ID, b"")).decode()
        self._encoding, self._timeout = fields.get(b"grpc-encoding", b""), fields.get(b"grpc-timeout")
        self._began = perf_counter()
        self.trace: Trace | None = None
        self._buffer = bytearray()
        self._messages: asyncio.Queue[bytes | None] | None = None
        self.method: Method | None = None
        """What answers it, once the request is whole; None for a stream."""
        self.task: asyncio.Task[None] | None = None
        self.has_headers = self.has_ended = False
        """Whether the answer's headers are sent; whether the request is whole."""

    def seconds(self) -> float | None:
        """Return how long the caller still waits for the answer; None for as long as it takes.

        Raises:
            CallError: what it said is malformed.
        """
        timeout = read_deadline(self._timeout)
        return None if timeout is None else max(0.0, timeout - self.age())

    def age(self) -> float:
        """Return the seconds since it came."""
        return perf_counter() - self._began

    def open(self) -> None:
        """Take the request for a stream of messages, each to be had as it comes."""
        self._messages = asyncio.Queue()

    def feed(self, data: bytes) -> None:
        """Take in more of the request.

        Raises:
            CallError: a message that cannot be read, or too many at a time.
        """
        self._buffer += data
        if self._messages is None:
            check_size(self._buffer)
            return
        while (message := take_message(self._buffer, self._encoding)) is not None:
            if self._messages.qsize() >= MOST_MESSAGES_WAITING:
                raise CallError(StatusCode.RESOURCE_EXHAUSTED, f"More than {MOST_MESSAGES_WAITING} messages wait.")
            self._messages.put_nowait(message)

    def end(self) -> None:
        """Take in that the request has ended."""
        self.has_ended = True
        self.stop()

    def stop(self) -> None:
        """Let a stream believe that its last message came."""
        if self._messages is not None:
            self._messages.put_nowait(None)

    @property
    def is_compressed(self) -> bool:
        """Whether the first message is, which may become large."""
        return self._buffer[:1] == b"\x01"

    def whole(self) -> bytes:
        """Return the one message of a request that has ended.

        Raises:
            CallError: it has none or several, or one that cannot be read.
        """
        message = take_message(self._buffer, self._encoding)
        if message is None or self._buffer:
            raise CallError(StatusCode.INVALID_ARGUMENT, "The request must hold one message.")
        return message

    async def messages(self, message_class: Any) -> AsyncIterator[Any]:
        """Yield the messages of a stream as they come."""
        assert self._messages is not None
        while (content := await self._messages.get()) is not None:
            yield parse(message_class, content)

    async def write(self, message: Any) -> None:
        """Send one message of a stream."""
        self._connection.send(self, message.SerializeToString())

    async def abort(self, status: StatusCode, details: str = "") -> NoReturn:
        """End the call with ``status``."""
        raise CallError(status, details or status.value[1])
