"""The requests that come by the thousand, answered without an ASGI app between server and batcher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from thresher.serving.batcher import Ticket
from thresher.serving.decoding import JSON, decode_json
from thresher.serving.logs import log_request, wants_access_log
from thresher.serving.predictor import Predictor
from thresher.serving.reply import JSON_TYPE, REQUEST_ID, Headers, Reply, error_reply, header, request_id, to_json
from thresher.serving.v2.requests import HEADER_LENGTH

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
        self._logs_all = wants_access_log()
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

        start = perf_counter() if self._logs_all else 0.0

        def fail(error: Exception) -> None:
            reply = failed(error, name, protocol, invalid)
            if self._logs_all and reply.status < 500:
                log_request(name.decode(), protocol, reply.status, perf_counter() - start)
            respond(with_id(reply, name))

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
                if self._logs_all:
                    log_request(name.decode(), protocol, 200, perf_counter() - start)

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
    if reply.status >= 500:
        log_request(name.decode(), protocol, reply.status, error=error if reply.status == 500 else None)
    return reply


def with_id(reply: Reply, name: bytes) -> Reply:
    """Return ``reply`` with the request's id."""
    return Reply(reply.status, reply.body, (*reply.headers, (REQUEST_ID, name)))
