"""One client's HTTP/2 connection, which zttp reads and writes, and the calls on it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, cast

import zttp
from grpc import StatusCode

from thresher.serving import tracing
from thresher.serving.body import LARGE_BODY_BYTES, decode_beside
from thresher.serving.logs import log_request, wants_access_log
from thresher.serving.reply import REQUEST_ID
from thresher.serving.rpc.call import Call
from thresher.serving.rpc.refusals import CallError, Refusal, refuse
from thresher.serving.rpc.service import INFER, Method
from thresher.serving.rpc.wire import ENCODINGS, Fields, frame, trailers

logger = logging.getLogger(__name__)

HEADERS: Fields = [(b"content-type", b"application/grpc"), (b"grpc-accept-encoding", ENCODINGS)]
CONTENT_TYPE = (b"content-type", b"application/grpc")
UNSUPPORTED_MEDIA_TYPE = 415
NO_ERROR = 0
"""Of HTTP/2."""
GOES = CallError(StatusCode.UNAVAILABLE, "The server is shutting down.")


@dataclass(frozen=True)
class Stream:
    """A method that takes and answers messages until it returns."""

    run: Callable[[Call], Awaitable[None]]


Routes = Mapping[bytes, "Method | Stream"]
"""By path, `/SERVICE/METHOD`."""


class Connection(asyncio.Protocol):
    """Takes calls to ``routes`` and is in ``connections`` while it is open."""

    def __init__(self, routes: Routes, connections: set[Connection]) -> None:
        self._routes, self._connections = routes, connections
        self._http = zttp.Connection(zttp.SERVER, zttp.HTTP2)
        self._calls: dict[int, Call] = {}
        self._is_closing = self._will_flush = False
        self._loop = asyncio.get_running_loop()
        self._logs_all = wants_access_log()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so
        self._connections.add(self)
        self._http.initiate_connection()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        for call in self._calls.values():
            _forget(call)
        self._calls.clear()

    def pause_writing(self) -> None:
        self._transport.pause_reading()  # whoever does not read its answers and pongs is not asked for more

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        try:
            self._http.receive_data(data)
            while (event := self._http.next_event()) is not zttp.NEED_DATA:
                self._take(event)
        except zttp.RemoteProtocolError as error:
            logger.info("A gRPC connection broke the rules of HTTP/2: %s", error)
            self._flush()
            self._transport.close()
            return
        self._flush()

    def close(self) -> None:
        """Take no more calls, end the streams, and close once all other calls are answered."""
        self._is_closing = True
        for call in self._calls.values():
            call.stop()
        self._http.close()
        self._flush()

    def abort(self) -> None:
        """Refuse the calls that run, and close."""
        for call in list(self._calls.values()):
            _cancel(call)
            self._refuse(call, GOES)
        self._flush()
        self._transport.close()

    def end_slow(self, seconds: float) -> None:
        """Refuse calls whose one message did not arrive within ``seconds``; streams may take their time."""
        for call in list(self._calls.values()):
            if call.method is not None and not call.has_ended and call.age() > seconds:
                late = f"The message took more than {seconds:g} s to arrive."
                self._refuse(call, CallError(StatusCode.DEADLINE_EXCEEDED, late))

    def send(self, call: Call, content: bytes) -> None:
        """Send one message of ``call``."""
        stream = self._http.stream(call.stream_id)
        if not call.has_headers:
            call.has_headers = True
            stream.send_response(200, HEADERS)
        stream.send_data(frame(content))
        self._flush_soon()

    def _take(self, event: zttp.Event) -> None:
        if isinstance(event, zttp.Data):
            if (call := self._calls.get(event.stream_id)) is not None:
                self._feed(call, event.data)
        elif isinstance(event, zttp.Request):
            self._begin(event)
        elif isinstance(event, zttp.EndOfMessage):
            if (call := self._calls.get(event.stream_id)) is not None:
                self._end(call)
        elif isinstance(event, zttp.RstStream) and (call := self._calls.pop(event.stream_id, None)) is not None:
            _forget(call)

    def _begin(self, event: zttp.Request) -> None:
        headers = list(event.headers)
        if event.method != b"POST" or not any(name == b"content-type" and _is_grpc(value) for name, value in headers):
            self._http.stream(event.stream_id).send_response(UNSUPPORTED_MEDIA_TYPE, [], True)
            return
        call = self._calls[event.stream_id] = Call(self, event.stream_id, headers)
        route = self._routes.get(event.path)
        if self._is_closing:
            self._refuse(call, GOES)
        elif route is None:
            name = event.path[:100].decode("ascii", "replace")
            self._refuse(call, CallError(StatusCode.UNIMPLEMENTED, f"Unknown method {name}."))
        elif isinstance(route, Stream):
            call.open()
            self._run(call, self._serve(call, route))
        else:
            call.method = route
            if event.path[1:] == INFER:
                call.trace = tracing.start(INFER.decode(), headers, call.name)
        if event.end_stream and call.stream_id in self._calls:
            self._end(call)

    def _end(self, call: Call) -> None:
        call.end()
        if call.method is not None:
            self._run(call, self._answer(call, call.method))

    def _run(self, call: Call, work: Coroutine[Any, Any, None]) -> None:
        call.task = self._loop.create_task(work)

    async def _answer(self, call: Call, method: Method) -> None:
        if call.trace is not None:
            call.trace.enter()
        try:
            size = LARGE_BODY_BYTES if call.is_compressed else 0
            message = await decode_beside(call.whole, size)
            content = await method(message, call.seconds())
            self.send(call, content)
            self._finish(call, Refusal(StatusCode.OK, "", ((REQUEST_ID.decode(), call.name),)))
        except Exception as error:
            self._refuse(call, error)

    async def _serve(self, call: Call, stream: Stream) -> None:
        try:
            await stream.run(call)
            self._finish(call, Refusal(StatusCode.OK, "", ()))
        except Exception as error:
            self._refuse(call, error)

    def _feed(self, call: Call, data: bytes) -> None:
        try:
            call.feed(data)
        except CallError as error:
            _cancel(call)
            self._refuse(call, error)

    def _refuse(self, call: Call, error: Exception) -> None:
        self._finish(call, refuse(error, call.name, call.age()))

    def _finish(self, call: Call, how: Refusal) -> None:
        """End ``call``; what its client still sends is not wanted."""
        if self._calls.pop(call.stream_id, None) is None:
            return  # given up by its client
        stream = self._http.stream(call.stream_id)
        if call.has_headers:
            stream.end_message(trailers(how))
        else:
            stream.send_response(200, [CONTENT_TYPE, *trailers(how)], True)
        if not call.has_ended:
            stream.reset(NO_ERROR)
        self._flush_soon()
        if call.trace is not None:
            call.trace.end(how.status.name, how.is_failed)
        if self._logs_all and not how.is_failed:
            log_request(call.name, "grpc", how.status.name, call.age())

    def _flush_soon(self) -> None:
        """Write at the end of this turn of the loop: the answers of a batch leave together."""
        if not self._will_flush:
            self._will_flush = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._will_flush = False
        content = self._http.data_to_send()
        if content:
            self._transport.write(content)
        if self._is_closing and not self._calls and not self._http.has_pending_send():
            self._transport.close()


def _cancel(call: Call) -> None:
    if call.task is not None:
        call.task.cancel()


def _forget(call: Call) -> None:
    """End ``call``, whose client has given it up."""
    _cancel(call)
    if call.trace is not None:
        call.trace.end(StatusCode.CANCELLED.name, is_error=False)


def _is_grpc(content_type: bytes) -> bool:
    return content_type == CONTENT_TYPE[1] or content_type.startswith((b"application/grpc+", b"application/grpc;"))
