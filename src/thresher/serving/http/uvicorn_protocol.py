"""uvicorn's HTTP/1.1 with bounds, on every port; all uses of uvicorn's undocumented API are here."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol, cast

import httptools
import uvicorn.config
from starlette.types import ASGIApp
from uvicorn import Config, Server
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from thresher.serving.http.body import check_length, too_slow
from thresher.serving.http.fast_path import Answer, FastRoutes
from thresher.serving.http.fast_path_cycle import FastPathCycle
from thresher.serving.http.lingering import LingeringTransport
from thresher.serving.http.reservation import EXTENSION, RESERVATION, Reservation, reservation_of
from thresher.serving.http.response import HttpError, Reply, error_reply

MAX_HEAD_BYTES = 64 * 2**10
"""The most bytes of a request's target and headers, and of anything else outside of bodies, such as trailers."""
MAX_FIELDS = 100
MAX_TARGET_BYTES = 8 * 2**10
MAX_CHUNK_LINE = 256
"""The bytes of a line with a chunk's size that are kept from one read to the next."""
HEXADECIMAL = re.compile(rb"[0-9A-Fa-f]+")
MAX_PIPELINED = 100
"""The requests that may wait on one connection behind the one that is being answered."""
CHECKS = 6
"""How often a connection is checked within the time that its client has."""
DRAIN_SECONDS = 10
VERSIONS = ("1.1", "1.0")
SINGLE_HEADERS = frozenset((b"host", b"content-type", b"content-encoding", b"inference-header-content-length"))
"""Headers that may stand once only: readers differ in which of two counts."""
UPGRADE_HEADERS = (b"connection", b"upgrade", b"http2-settings")


class BoundedApp(Protocol):
    """What the protocol needs of the ASGI app that it serves; see `FastPathMiddleware`."""

    routes: FastRoutes | None
    max_seconds: float


class RefusedError(Exception):
    """Raised in the parser's callbacks to end its work: the protocol refuses the request."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 on httptools with bounds, errors in JSON, and a fast path without a task for each request.

    Bounds: the head of a request, the bytes of all bodies in flight, the time that a client has to send a request and
    to read an answer. An upgrade to another protocol is not taken, and what asked for it is answered in HTTP/1.1.
    """

    def __init__(self, config: Config, *arguments: Any, **options: Any) -> None:
        super().__init__(config, *arguments, **options)
        self._bounded = cast(BoundedApp, config.app)
        self._asked: float | None = None
        """When the wait for a request, or for the rest of one, began, in the loop's seconds; None without a wait."""
        self._stuck: float | None = None
        """When the client stopped reading its answers, in the loop's seconds; None where it reads."""
        self._has_begun = self._in_body = self._is_chunked = self._is_upgrade = False
        self._num_other = 0
        """Bytes read since the request began or its last body bytes came."""
        self._num_fields = self._num_head_bytes = 0
        self._chunk_bytes: int | None = None
        """Bytes read of a chunk that began in the present read and has not ended; None without such a chunk."""
        self._last_read = b""
        """The end of what was read before, in which the line of a chunk's size may have begun."""
        self._reservation = Reservation(None)
        self._due: RequestResponseCycle | FastPathCycle | None = None
        """The cycle that is answered next."""
        self._fault: Reply | None = None
        self._refusal: Reply | None = None
        """The last answer of this connection, which comes after all that are due; nothing more is read."""

    # What asyncio calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Expect a request."""
        lingering = LingeringTransport(transport, self.loop, lambda: self._has_begun or self._refusal is not None)
        super().connection_made(cast(asyncio.Transport, lingering))
        self._asked = self.loop.time()
        self._timer = self.loop.call_later(self._bounded.max_seconds / CHECKS, self._check_time)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel all requests of the connection, not only the last."""
        self._timer.cancel()
        due = self._due
        if due is not None and due is not self.cycle and not due.response_complete:
            due.disconnected = True
            due.message_event.set()
        for cycle, _ in self.pipeline:
            reservation_of(cast(Any, cycle.scope)).close()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless this connection ends."""
        while data and self._refusal is None and not self.transport.is_closing():
            data = self._feed(data)

    def _feed(self, data: bytes) -> bytes:
        """Have the parser read ``data``, and return what it is to read next."""
        self._unset_keepalive_if_required()
        self._num_other += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._without_upgrade() + data[upgrade.args[0] :]
        except httptools.HttpParserError:
            self._refuse(self._fault or _malformed())
        else:
            if self._num_other > MAX_HEAD_BYTES:
                self._refuse(_too_large_head())
            elif self._is_chunked and self._in_body:
                self._check_chunk(data)
        return b""

    def pause_writing(self) -> None:
        """Note when the client stopped reading."""
        self._stuck = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        self._stuck = None
        super().resume_writing()

    def shutdown(self) -> None:
        """Begin to shut down: close connections on which no answer is due."""
        if self.transport.is_closing():
            self.transport.abort()
            return
        if not self._in_body:
            self._has_begun = False  # of a request that is half a head there is nothing to answer
        super().shutdown()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of the request."""
        super().on_message_begin()
        self._asked = self.loop.time()
        self._has_begun, self._is_upgrade = True, False
        self._num_other = self._num_fields = self._num_head_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Bound the target's length."""
        super().on_url(url)
        if len(self.url) > MAX_TARGET_BYTES:
            self._fail(_refusal(414, f"The request's target is longer than {MAX_TARGET_BYTES:,} bytes."))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Bound the headers; trailers, which come here too, are counted and then ignored."""
        self._num_fields += 1
        self._num_head_bytes += len(name) + len(value) + 4
        if self._num_fields > MAX_FIELDS or self._num_head_bytes + len(self.url) > MAX_HEAD_BYTES:
            self._fail(_too_large_head())
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Make the cycle of a request of the fast path; leave all others to uvicorn."""
        self._num_other = 0
        if self.parser.get_http_version() not in VERSIONS:
            self._fail(_malformed())
        if self.parser.get_method() == b"CONNECT":
            self._fail(_refusal(405, "CONNECT is not allowed here."))
        if self.parser.should_upgrade():
            self._is_upgrade = True
            return
        if len(self.pipeline) >= MAX_PIPELINED:
            text = f"More than {MAX_PIPELINED} requests wait on this connection. Read the answers before you send more."
            self._fail(_refusal(503, text))
        length = self._reserve()
        self._in_body = True
        answer = self._find(length)
        if answer is None:
            self.scope["extensions"] = {EXTENSION: {RESERVATION: self._reservation}}
            try:
                super().on_headers_complete()
            except Exception:
                self._in_body = False
                self._reservation.close()
                raise
        else:
            keep_alive = self.parser.should_keep_alive()
            cycle = FastPathCycle(self.headers, answer, keep_alive, self._reservation, self._send)
            self.cycle = cast(RequestResponseCycle, cycle)
            self._due = cycle

    def on_body(self, body: bytes) -> None:
        """Count a body whose length nobody declared."""
        self._num_other = 0
        if self._is_chunked:
            if self._chunk_bytes is not None:
                self._chunk_bytes += len(body)
            try:
                check_length(self._reservation.num_bytes + len(body))
                self._reservation.grow(len(body))
            except Exception as error:
                self._fail(error_reply(error))
        super().on_body(body)

    def on_chunk_header(self) -> None:
        """Note that a chunk begins; of what size, the parser keeps to itself."""
        self._chunk_bytes = 0

    def on_chunk_complete(self) -> None:
        """Note that the chunk has ended."""
        self._chunk_bytes = None

    def on_message_complete(self) -> None:
        """Stop waiting; uvicorn itself closes a connection on which no other request begins."""
        if not self._is_upgrade:
            self._asked, self._num_other = None, 0
            self._has_begun = self._in_body = False
            super().on_message_complete()

    # What uvicorn's cycles call.

    def on_response_complete(self) -> None:
        """Go on with the next request, or with the end of the connection."""
        if self._refusal is not None and not self.pipeline:
            self._send(self._refusal, False)
            return
        super().on_response_complete()
        if self._in_body and self.expect_100_continue and not self.pipeline:
            # Whether the client sends the body all the same is unknown, so what comes next could be anything.
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._due = cycle
        super()._start_asgi_task(cycle, app)

    # Our own.

    @property
    def _is_busy(self) -> bool:
        return bool(self.pipeline) or (self._due is not None and not self._due.response_complete)

    def _find(self, length: int | None) -> Answer | None:
        """Return what answers the request on the fast path; None where it needs a RequestResponseCycle."""
        routes = self._bounded.routes
        is_plain = length is not None and length <= HIGH_WATER_LIMIT and not self.expect_100_continue
        if routes is None or not is_plain or self._is_busy or self._stuck is not None:
            return None
        if self.parser.get_http_version() != "1.1":
            return None
        return routes.find(self.parser.get_method().decode(), self.url.decode("latin-1"), self.headers)

    def _reserve(self) -> int | None:
        """Reserve the bytes that the headers declare, and return how many; None where they come in chunks."""
        names = dict(self.headers)
        if len(names) < len(self.headers):
            self._check_single()
        if b"host" not in names and self.parser.get_http_version() == "1.1":
            self._fail(_refusal(400, "The request has no Host header, which HTTP/1.1 requires."))
        routes = self._bounded.routes
        self._reservation = Reservation(routes.predictor.budget if routes is not None else None)
        self._is_chunked = b"transfer-encoding" in names
        self._chunk_bytes, self._last_read = None, b""
        if self._is_chunked:
            if names[b"transfer-encoding"].strip().lower() != b"chunked":
                self._fail(_refusal(501, "Only the Transfer-Encoding chunked is supported."))
            return None
        length = int(names.get(b"content-length", b"0") or b"0")  # the parser takes nothing but digits
        try:
            check_length(length)
            self._reservation.grow(length)
        except Exception as error:
            self._fail(error_reply(error))
        return length

    def _check_chunk(self, data: bytes) -> None:
        """Refuse a chunk that announces more than a body may have, rather than wait for it."""
        came, before = self._chunk_bytes, self._last_read
        self._chunk_bytes, self._last_read = None, (before + data)[-MAX_CHUNK_LINE:]
        if came is None:
            return
        head = before + data[: len(data) - came]
        size = head.rstrip(b"\r\n").rpartition(b"\n")[2].partition(b";")[0].rstrip()
        # After the last chunk, whose size is 0, come trailers: the line of one has a colon, or has not ended.
        if not head.endswith(b"\n") or not HEXADECIMAL.fullmatch(size):
            return
        try:
            check_length(self._reservation.num_bytes - came + int(size, 16))
        except HttpError as error:
            self._refuse(error_reply(error))

    def _check_single(self) -> None:
        names = [name for name, _ in self.headers if name in SINGLE_HEADERS]
        for name in names:
            if names.count(name) > 1:
                self._fail(_refusal(400, f"The header {name.decode().title()} is given twice."))

    def _without_upgrade(self) -> bytes:
        """Return the request's head without its wish for another protocol, for a parser that knows nothing of it.

        The one that read it took the body for what follows in the other protocol.
        """
        tokens = [token.strip() for name, value in self.headers if name == b"connection" for token in value.split(b",")]
        kept = [token for token in tokens if token.lower() not in UPGRADE_HEADERS]
        fields = [(name, value) for name, value in self.headers if name not in UPGRADE_HEADERS]
        fields += [(b"connection", b", ".join(kept))] if kept else []
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % field for field in fields]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _fail(self, reply: Reply) -> NoReturn:
        self._fault = reply
        raise RefusedError

    def _refuse(self, reply: Reply) -> None:
        """Answer what cannot be read any further with ``reply``, after all that came before it, and close."""
        self._refusal = reply
        cycle = self.cycle
        if self._in_body:  # then the cycle is that of the request which is refused
            self._reservation.close()
            if self.pipeline and self.pipeline[0][0] is cycle:
                self.pipeline.popleft()
            elif not cycle.response_complete:
                has_started = cycle.response_started
                cycle.disconnected = cycle.response_complete = True
                cycle.message_event.set()
                if has_started:
                    self.transport.close()
                    return
        if not self._is_busy:
            self._send(reply, False)

    def _check_time(self) -> None:
        """Drop a client that takes too long; one timer for the connection is cheaper than one for each request."""
        max_seconds, now = self._bounded.max_seconds, self.loop.time()
        self._timer = self.loop.call_later(max_seconds / CHECKS, self._check_time)
        if self.transport.is_closing():
            return
        if self._stuck is not None and now - self._stuck > max_seconds:
            self.transport.abort()
        elif self.flow.read_paused:
            self._asked = None if self._asked is None else now  # it is we who do not read
        elif self._asked is not None and now - self._asked > max_seconds:
            if self._has_begun:
                self._refuse(error_reply(too_slow(max_seconds)))
            elif not self._is_busy:
                self.transport.close()

    def _send(self, reply: Reply, keep_alive: bool) -> None:
        if self.transport.is_closing():
            return
        parts = [STATUS_LINE[reply.status]]
        for name, value in (*self.server_state.default_headers, *reply.headers):
            if name != b"connection":
                parts += (name, b": ", value, b"\r\n")
        if not keep_alive:
            parts.append(b"connection: close\r\n")
        parts += (b"content-length: %d\r\n\r\n" % len(reply.body), reply.body)
        self.transport.write(b"".join(parts))
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()


class NestedConfig(Config):
    """uvicorn's configuration of a server inside of another one."""

    def __init__(self, app: ASGIApp, **options: Any) -> None:
        super().__init__(
            cast(Any, app),  # Starlette's and uvicorn's types of the same thing
            http=BoundedHttpProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            **options,
        )


class NestedServer(Server):
    """A uvicorn server inside of another one, which has the signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def use_bounded_protocol() -> None:
    """Have uvicorn's servers in this process use our protocol where they are free to choose, as BentoML's is."""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{BoundedHttpProtocol.__name__}"


def _refusal(status: int, text: str) -> Reply:
    return error_reply(HttpError(status, text))


def _malformed() -> Reply:
    return _refusal(400, "The request is not valid HTTP/1.1.")


def _too_large_head() -> Reply:
    return _refusal(
        431, f"The request has more than {MAX_FIELDS} headers, or more than {MAX_HEAD_BYTES // 2**10} KiB of them."
    )
