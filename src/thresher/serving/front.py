"""The service as one ASGI app: hot requests go past all middlewares, the rest through BentoML's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from thresher.serving import tracing
from thresher.serving.body import MAX_BODY_SECONDS, too_slow
from thresher.serving.hot import INFER, Answer, HotRoutes, Pending
from thresher.serving.reply import REQUEST_ID, Reply, error_reply, header

if TYPE_CHECKING:
    from asyncio import Future


class Front:
    """BentoML's ASGI app with the hot routes before it.

    OpenTelemetry, access log and BentoML's own metrics take most of a small model's request; what is answered here
    has its own metrics, limits and request ids instead.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.hot: HotRoutes | None = None
        """None until the model is loaded."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.hot is not None and scope["type"] == "http":
            if scope["path"] == "/metrics":
                self.hot.predictor.metrics.flush()
            answer = self.hot.find(scope["method"], scope["path"], scope["headers"])
            if answer is not None:
                await _answer(answer, scope, receive, send)
                return
            name = _span_name(scope["path"]) if scope["method"] == "POST" else ""
            if name and (trace := tracing.start(name, scope["headers"])) is not None:
                await _traced(trace, self.app, scope, receive, send)
                return
        await self.app(scope, receive, send)


def _span_name(path: str) -> str:
    """Return what a trace calls a request to predict that is not hot; empty for one that asks for something else."""
    if path in ("/predict", "/explain"):
        return f"POST {path}"
    return INFER if path.startswith("/v2/models/") and path.endswith("/infer") else ""


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
        trace.end(tracing.HUNG_UP, is_error=False)


async def _answer(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    try:
        body = await _whole(receive)
    except TimeoutError:
        await _send(error_reply(too_slow(MAX_BODY_SECONDS)), send)
        return
    if body is None:
        return
    ready: Future[Reply] = asyncio.get_running_loop().create_future()
    pending = answer(scope["headers"], body, lambda reply: None if ready.done() else ready.set_result(reply))
    if not ready.done():
        await _wait(ready, pending, receive)
    if ready.done():
        await _send(ready.result(), send)


async def _whole(receive: Receive) -> bytes | None:
    """Return the body, whose length the server holds to what was declared; None where the client left.

    Raises:
        TimeoutError: it did not arrive in time.
    """
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        return bytes(message.get("body", b""))
    parts = []
    async with asyncio.timeout(MAX_BODY_SECONDS):
        while message["type"] == "http.request":
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                return b"".join(parts)
            message = await receive()
    return None


async def _wait(ready: Future[Reply], pending: Pending, receive: Receive) -> None:
    gone = asyncio.ensure_future(receive())
    await asyncio.wait((ready, gone), return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()
    if not ready.done():
        pending.cancel()


async def _send(reply: Reply, send: Send) -> None:
    headers = [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
