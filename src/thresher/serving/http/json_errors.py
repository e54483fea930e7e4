"""Errors in JSON: those of BentoML's app get the form of our own."""

from __future__ import annotations

from http import HTTPStatus

from starlette.types import Message, Send

from thresher.serving.http.response import HINT, HttpError, Reply, error_reply, header

MAX_TEXT_BYTES = 1000
OWN_HEADERS = (b"content-type", b"content-length")


class JsonErrors:
    """Passes the messages of an ASGI app on; an error in another form is replaced by its text in JSON."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._held: Message | None = None
        self._text = b""
        self.has_started = False

    async def __call__(self, message: Message) -> None:
        """Send one message of the app."""
        if message["type"] == "http.response.start":
            self.has_started = True
            kind = header(list(message.get("headers", ())), b"content-type")
            if message["status"] >= 400 and not kind.startswith(b"application/json"):
                self._held = message
                return
        if self._held is None:
            await self._send(message)
            return
        self._text += message.get("body", b"")[:MAX_TEXT_BYTES]
        if not message.get("more_body"):
            held, self._held = self._held, None
            kept = [(name, value) for name, value in held.get("headers", ()) if name not in OWN_HEADERS]
            reply = error_reply(HttpError(held["status"], _words(held["status"], self._text)))
            await self.reply(Reply(reply.status, reply.body, (*reply.headers, *kept)))

    async def reply(self, reply: Reply) -> None:
        """Send ``reply``."""
        self.has_started = True
        headers = [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
        await self._send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": reply.body})


def _words(status: int, text: bytes) -> str:
    said = text[:MAX_TEXT_BYTES].decode("utf-8", "replace").strip() or HTTPStatus(status).phrase
    return f"{said.rstrip('.')}. {HINT}" if status in (404, 405) else said
