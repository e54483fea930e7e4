"""The requests that come by the thousand, answered without an ASGI app between server and batcher."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from thresher.serving.batcher import Ticket
from thresher.serving.decoding import JSON, decode_json
from thresher.serving.predictor import Predictor
from thresher.serving.reply import JSON_TYPE, REQUEST_ID, Headers, Reply, error_reply, header, request_id, to_json
from thresher.serving.v2.requests import HEADER_LENGTH

logger = logging.getLogger(__name__)

MOST_JSON_BYTES = 128 * 2**10
"""Larger documents are decoded beside the event loop, which the ASGI app does."""
MOST_BINARY_BYTES = 4 * 2**20

Respond = Callable[[Reply], None]


@dataclass(slots=True)
class Pending:
    """A request on its way; `cancel` gives up its place."""

    predictor: Predictor
    ticket: Ticket | None
    protocol: str

    def cancel(self) -> None:
        """Forget the request: nobody waits for its answer any more."""
        if self.ticket is not None:
            self.predictor.cancel(self.ticket, self.protocol)


Answer = Callable[[Headers, "bytes | bytearray", Respond], Pending]


class HotRoutes:
    """Finds what answers a request, if it is one of those that are answered here.

    `POST /predict` with JSON, and `POST /v2/models/NAME[/versions/V]/infer`, of a declared and modest length.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        name, version = predictor.tensors.name, predictor.tensors.version
        paths = {f"/v2/models/{name}/infer", f"/v2/models/{name}/versions/{version}/infer"}
        self._routes: dict[str, Answer] = dict.fromkeys(paths, self._infer)
        self._routes["/predict"] = self._predict

    def find(self, method: str, path: str, headers: Headers) -> Answer | None:
        """Return what answers the request; None where the ASGI app does."""
        answer = self._routes.get(path)
        if answer is None or method != "POST":
            return None
        length, kind, binary = b"", b"", False
        for key, value in headers:
            if key == b"content-length":
                length = value
            elif key == b"content-type":
                kind = value
            elif key == HEADER_LENGTH:
                binary = True
            elif key == b"content-encoding" or key == b"expect":
                return None
        if not length.isdigit() or len(length) > 8:
            return None
        if path == "/predict" and kind != JSON.encode():
            return None
        return answer if int(length) <= (MOST_BINARY_BYTES if binary else MOST_JSON_BYTES) else None

    def _predict(self, headers: Headers, body: bytes | bytearray, respond: Respond) -> Pending:
        predictor = self.predictor
        name = request_id(header(headers, REQUEST_ID))

        def say(outputs: np.ndarray) -> Reply:
            return Reply(200, predict_document(predictor, outputs, name), (JSON_TYPE, (REQUEST_ID, name)))

        def read() -> tuple[np.ndarray, float | None, Callable[[np.ndarray], Reply]]:
            return decode_json(bytes(body), predictor.bundle.encoder), None, say

        return self._run("rest", name, read, respond, 422)

    def _infer(self, headers: Headers, body: bytes | bytearray, respond: Respond) -> Pending:
        codec = self.predictor.codec
        name = request_id(header(headers, REQUEST_ID))

        def read() -> tuple[np.ndarray, float | None, Callable[[np.ndarray], Reply]]:
            request = codec.read(body, header(headers, HEADER_LENGTH))

            def say(outputs: np.ndarray) -> Reply:
                return with_id(codec.write(request, outputs), name)

            return request.samples, request.head.timeout, say

        return self._run("v2_rest", name, read, respond, 400)

    def _run(
        self,
        protocol: str,
        name: bytes,
        read: Callable[[], tuple[np.ndarray, float | None, Callable[[np.ndarray], Reply]]],
        respond: Respond,
        invalid: int,
    ) -> Pending:
        predictor = self.predictor
        pending = Pending(predictor, None, protocol)

        def fail(error: Exception) -> None:
            respond(with_id(failed(error, name, protocol, invalid), name))

        try:
            predictor.check_room()
            samples, timeout, say = read()
        except Exception as error:
            predictor.count_refused(protocol, error)
            fail(error)
            return pending

        def done(result: np.ndarray | Exception) -> None:
            if isinstance(result, Exception):
                fail(result)
            else:
                respond(say(result))

        pending.ticket = predictor.begin(samples, protocol, done, timeout)
        return pending


def predict_document(predictor: Predictor, outputs: np.ndarray, name: bytes) -> bytes:
    """Return the typed REST's answer as JSON."""
    info = predictor.bundle.info
    return to_json(
        {
            "predictions": predictor.say(outputs),
            "model": info.recipe,
            "model_version": info.model_version,
            "request_id": name.decode(),
        }
    )


def failed(error: Exception, name: bytes, protocol: str, invalid: int) -> Reply:
    """Return the answer to a request that failed with ``error``; what nobody foresaw goes into the log."""
    reply = error_reply(error, invalid)
    if reply.status == 500:
        logger.error("Request %s over %s failed", name.decode(), protocol, exc_info=error)
    return reply


def with_id(reply: Reply, name: bytes) -> Reply:
    """Return ``reply`` with the request's id."""
    return Reply(reply.status, reply.body, (*reply.headers, (REQUEST_ID, name)))
