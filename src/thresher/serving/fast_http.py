"""The fast listener: uvicorn, but for the hot routes, which its protocol hands to the batcher without a task."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from starlette.types import ASGIApp
from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from thresher.serving.body import MAX_BODY_SECONDS, too_slow
from thresher.serving.hot import Answer, HotRoutes, Pending
from thresher.serving.listening import listen
from thresher.serving.patience import watch
from thresher.serving.reply import Reply, error_reply

DRAIN_SECONDS = 10


class HotCycle:
    """A hot request from its headers to its reply; in uvicorn's queues it stands for a RequestResponseCycle.

    It is freed without the garbage collector, whose pauses would be the slowest of a thousand requests.
    """

    __slots__ = (
        "_answer",
        "_headers",
        "_pending",
        "_protocol",
        "_started",
        "body",
        "disconnected",
        "keep_alive",
        "more_body",
        "response_complete",
    )

    def __init__(self, protocol: FastProtocol, answer: Answer, keep_alive: bool) -> None:
        self._protocol, self._answer, self._headers = protocol, answer, protocol.headers
        self._started = False
        self._pending: Pending | None = None
        self.keep_alive = keep_alive
        self.body = bytearray()
        self.more_body = True
        self.disconnected = False
        self.response_complete = False

    @property
    def message_event(self) -> HotCycle:
        """What uvicorn sets when more of a request came, or its client left: the cycle itself."""
        return self

    def set(self) -> None:
        """See `message_event`."""
        self.go_on()

    def start(self) -> None:
        """Begin: all earlier requests of the connection are answered."""
        self._started = True
        self.go_on()

    def go_on(self) -> None:
        """Ask for the answer once the body is whole; give up when the client left."""
        if self.disconnected:
            if self._pending:
                self._pending.cancel()
        elif self._started and not self.more_body and self._pending is None and not self.response_complete:
            pending = self._answer(self._headers, self.body, self._respond)
            if not self.response_complete:
                self._pending = pending

    @property
    def is_due(self) -> bool:
        """Whether its reply is what the client gets next."""
        return self._started and not self.response_complete

    def refuse(self, reply: Reply) -> None:
        """Answer a request that is not there yet, and close: the rest of it may still come."""
        self.keep_alive = False
        self._respond(reply)

    def _respond(self, reply: Reply) -> None:
        self.response_complete = True
        self._pending = None
        if not self.disconnected:
            self._protocol.send(reply, self.keep_alive)


class FastProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 on httptools; `config.hot` says which requests go past the ASGI app."""

    def __init__(self, config: Config, *arguments: Any, **options: Any) -> None:
        super().__init__(config, *arguments, **options)
        assert isinstance(config, FastConfig)
        self._hot = config.hot
        self._asked: float | None = None
        """Since when the client owes a request or the rest of one, in the loop's seconds."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Expect a request."""
        super().connection_made(transport)
        self._asked = self.loop.time()

    def on_message_begin(self) -> None:
        """Expect the rest of it."""
        super().on_message_begin()
        self._asked = self.loop.time()

    def on_message_complete(self) -> None:
        """Expect nothing; uvicorn itself closes a connection on which no other request begins."""
        self._asked = None
        super().on_message_complete()

    def end_slow(self, seconds: float) -> None:
        """Refuse a request of which a part came more than ``seconds`` ago; close where not even its headers did."""
        if self._asked is None or self.loop.time() - self._asked < seconds:
            return
        cycle = self.cycle
        if isinstance(cycle, HotCycle) and cycle.is_due:
            cycle.refuse(error_reply(too_slow(seconds)))
        elif cycle is None or cycle.response_complete or isinstance(cycle, HotCycle):
            self.transport.close()
        # The other routes read their bodies within a time of their own.

    def on_headers_complete(self) -> None:
        """Make a hot request's cycle; leave all others to uvicorn."""
        answer = self._find()
        if answer is None:
            super().on_headers_complete()
            return
        parser, before = self.parser, self.cycle
        cycle = HotCycle(self, answer, parser.get_http_version() != "1.0" and parser.should_keep_alive())
        self.cycle = cast(RequestResponseCycle, cycle)
        if before is None or before.response_complete:
            cycle.start()
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if isinstance(cycle, HotCycle):
            cycle.start()
        else:
            super()._start_asgi_task(cycle, app)

    def _find(self) -> Answer | None:
        if self._hot is None or self.parser.should_upgrade() or self.expect_100_continue:
            return None
        return self._hot.find(self.parser.get_method().decode(), self.url.decode("latin-1"), self.headers)

    def send(self, reply: Reply, keep_alive: bool) -> None:
        """Write ``reply``."""
        parts = [STATUS_LINE[reply.status]]
        for name, value in (*self.server_state.default_headers, *reply.headers):
            parts += (name, b": ", value, b"\r\n")
        if not keep_alive:
            parts.append(b"connection: close\r\n")
        parts += (b"content-length: %d\r\n\r\n" % len(reply.body), reply.body)
        self.transport.write(b"".join(parts))
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()


class FastConfig(Config):
    """uvicorn's configuration with the hot routes in it, where the protocol finds them."""

    def __init__(self, app: ASGIApp, hot: HotRoutes | None) -> None:
        super().__init__(
            cast(Any, app),  # Starlette's and uvicorn's types of the same thing
            http=FastProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
        self.hot = hot


class FastServer(Server):
    """A uvicorn server inside of another one, which has the signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


class FastListener:
    """The fast listener of one worker process."""

    def __init__(
        self, app: ASGIApp, hot: HotRoutes | None, host: str, port: int, patience: float = MAX_BODY_SECONDS
    ) -> None:
        """Listen.

        Args:
            patience: seconds that a client has for a request.
        """
        self._socket = listen(host, port)
        self._server = FastServer(FastConfig(app, hot))
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._server.serve(sockets=[self._socket]))
        connections = cast("set[FastProtocol]", self._server.server_state.connections)
        self._watch = loop.create_task(watch(connections, patience))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._socket.getsockname()[1])

    async def close(self) -> None:
        """Answer what has come, take no more, and end."""
        self._server.should_exit = True
        await self._task
        self._watch.cancel()
