"""The outermost ASGI middleware: it answers requests to predict itself and passes all others to BentoML's app."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from thresher.serving.core.limits import MAX_BODY_SECONDS
from thresher.serving.core.request_id import REQUEST_ID, request_id
from thresher.serving.http.fast_path import Answer, FastRoutes, Pending
from thresher.serving.http.json_errors import JsonErrors
from thresher.serving.http.operations import Infer
from thresher.serving.http.reservation import reservation_of
from thresher.serving.http.response import HttpError, Reply, error_reply, header
from thresher.serving.monitoring import tracing
from thresher.serving.monitoring.logs import log_failed

if TYPE_CHECKING:
    from asyncio import Future


class FastPathMiddleware:
    """Answers the requests of the fast path before BentoML's app and its middlewares see them.

    OpenTelemetry, the access log and BentoML's own metrics take longer than a small model. Requests that are answered
    here have our metrics, limits and request ids instead.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.routes: FastRoutes | None = None
        """The requests of the fast path; None until the model is loaded."""
        self.max_seconds = MAX_BODY_SECONDS
        """The seconds that a client has to send a request, and to read an answer."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answers = JsonErrors(send)
        try:
            if scope["path"].isprintable():
                await self._pass(scope, receive, answers)
            else:  # BentoML would write it into its log, where a line break begins what looks like another line
                await answers.reply(error_reply(HttpError(404, "There is no such path.")))
        except Exception as error:
            # Whoever is above would log the error's own text, in which may stand what was sent.
            name = request_id(header(scope["headers"], REQUEST_ID))
            log_failed(name.decode(), "http", 500, None, error)
            if not answers.has_started:
                await answers.reply(error_reply(error).with_id(name))
        finally:
            reservation_of(scope).close()

    async def _pass(self, scope: Scope, receive: Receive, answers: JsonErrors) -> None:
        if self.routes is not None:
            if scope["path"] == "/metrics":
                self.routes.predictor.metrics.flush()
            answer = self.routes.find(scope["method"], scope["path"], scope["headers"])
            if answer is not None:
                await _answer(answer, scope, receive, answers)
                return
            name = _span_name(scope["path"]) if scope["method"] == "POST" else ""
            if name and (trace := tracing.start(name, scope["headers"])) is not None:
                await _traced(trace, self.app, scope, receive, answers)
                return
        await self.app(scope, receive, answers)


def _span_name(path: str) -> str:
    """Return what a trace calls a request to predict outside of the fast path; empty for any other request."""
    if path in ("/predict", "/explain"):
        return f"POST {path}"
    return Infer.span if path.startswith("/v2/models/") and path.endswith("/infer") else ""


async def _traced(trace: tracing.Trace, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    trace.enter()
    status, name = 0, ""

    async def note(message: Message) -> None:
        nonlocal status, name
        if message["type"] == "http.response.start":
            status, name = message["status"], header(list(message.get("headers", ())), REQUEST_ID).decode("latin-1")
        elif not message.get("more_body"):
            trace.end(status, status >= 500, name)
        await send(message)

    try:
        await app(scope, receive, note)
    finally:
        trace.end(tracing.DISCONNECTED, is_error=False)


async def _answer(answer: Answer, scope: Scope, receive: Receive, answers: JsonErrors) -> None:
    body = await _whole(receive)
    if body is None:
        return
    ready: Future[Reply] = asyncio.get_running_loop().create_future()
    pending = answer(scope["headers"], body, lambda reply: None if ready.done() else ready.set_result(reply))
    if not ready.done():
        await _wait(ready, pending, receive)
    if ready.done():
        await answers.reply(ready.result())


async def _whole(receive: Receive) -> bytes | None:
    """Return the body, whose length the server holds to what was declared; None where the client left."""
    parts = []
    while (message := await receive())["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
    return None


async def _wait(ready: Future[Reply], pending: Pending, receive: Receive) -> None:
    gone = asyncio.ensure_future(receive())
    await asyncio.wait((ready, gone), return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()
    if not ready.done():
        pending.cancel()
