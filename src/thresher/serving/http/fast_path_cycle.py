"""A request of the fast path on its way, in the place of uvicorn's RequestResponseCycle."""

from __future__ import annotations

from collections.abc import Callable

from thresher.serving.http.fast_path import Answer, Pending
from thresher.serving.http.reservation import Reservation
from thresher.serving.http.response import Headers, Reply


class FastPathCycle:
    """A request of the fast path from its headers to its reply, without a task, an event or an ASGI scope.

    It has what uvicorn's protocol uses of a RequestResponseCycle and is only made where nothing else of one is needed:
    no request of the connection waits for its answer, the client reads its answers, and the body is so short that
    the protocol never stops reading because of it. It is freed without the garbage collector, whose pauses would be
    the slowest of a thousand requests.
    """

    __slots__ = (
        "_answer",
        "_headers",
        "_pending",
        "_reservation",
        "_send",
        "body",
        "disconnected",
        "keep_alive",
        "more_body",
        "response_complete",
        "response_started",
    )

    def __init__(
        self,
        headers: Headers,
        answer: Answer,
        keep_alive: bool,
        reservation: Reservation,
        send: Callable[[Reply, bool], None],
    ) -> None:
        """Begin.

        Args:
            answer: asked once the body is whole.
            keep_alive: whether the connection is for other requests too.
            reservation: of the body's bytes.
            send: takes the reply, and whether the connection stays.
        """
        self._headers, self._answer, self._reservation, self._send = headers, answer, reservation, send
        self._pending: Pending | None = None
        self.keep_alive = keep_alive
        self.body = bytearray()
        self.more_body = True
        self.disconnected = False
        self.response_started = False
        self.response_complete = False

    @property
    def message_event(self) -> FastPathCycle:
        """What uvicorn sets when more of a request came, or its client left: the cycle itself."""
        return self

    def set(self) -> None:
        """Ask for the answer once the body is whole; give up when the client left."""
        if self.disconnected:
            self._reservation.close()
            if self._pending:
                self._pending.cancel()
        elif not self.more_body and self._pending is None and not self.response_complete:
            pending = self._answer(self._headers, self.body, self._respond)
            if not self.response_complete:
                self._pending = pending

    def _respond(self, reply: Reply) -> None:
        self.response_started = self.response_complete = True
        self._pending = None
        self._reservation.close()
        if not self.disconnected:
            self._send(reply, self.keep_alive)
