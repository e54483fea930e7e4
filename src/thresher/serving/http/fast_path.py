"""The requests that come by the thousand, answered without an ASGI app between server and batcher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from thresher.serving.core.batcher import Ticket
from thresher.serving.core.decoding import JSON, decode_json
from thresher.serving.core.predictor import Predictor
from thresher.serving.http.response import (
    JSON_TYPE,
    REQUEST_ID,
    Headers,
    Reply,
    error_reply,
    header,
    request_id,
    to_json,
)
from thresher.serving.http.v2_codec import HEADER_LENGTH
from thresher.serving.monitoring import tracing
from thresher.serving.monitoring.logs import log_failed, log_request, wants_access_log

MOST_JSON_BYTES = 128 * 2**10
"""Larger documents are decoded beside the event loop, which the ASGI app does."""
MOST_BINARY_BYTES = 4 * 2**20
INFER = "POST /v2/models/{model_name}/infer"
"""What a trace calls a request to infer; the other route of the protocol is the same request."""

Respond = Callable[[Reply], None]


@dataclass(slots=True)
class Pending:
    """A request on its way; `cancel` gives up its place."""

    predictor: Predictor
    ticket: Ticket | None
    protocol: str
    trace: tracing.Trace | None

    def cancel(self) -> None:
        """Forget the request: nobody waits for its answer any more."""
        if self.ticket is not None:
            self.predictor.cancel(self.ticket, self.protocol)
        if self.trace is not None:
            self.trace.end(tracing.HUNG_UP, is_error=False)


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

        trace = tracing.start("POST /predict", headers, name.decode())
        return self._run("rest", name, read, respond, 422, trace)

    def _infer(self, headers: Headers, body: bytes | bytearray, respond: Respond) -> Pending:
        codec = self.predictor.codec
        name = request_id(header(headers, REQUEST_ID))

        def read() -> tuple[np.ndarray, float | None, Callable[[np.ndarray], Reply]]:
            request = codec.read(body, header(headers, HEADER_LENGTH))

            def say(outputs: np.ndarray) -> Reply:
                return with_id(codec.write(request, outputs), name)

            return request.samples, request.head.timeout, say

        trace = tracing.start(INFER, headers, name.decode())
        return self._run("v2_rest", name, read, respond, 400, trace)

    def _run(
        self,
        protocol: str,
        name: bytes,
        read: Callable[[], tuple[np.ndarray, float | None, Callable[[np.ndarray], Reply]]],
        respond: Respond,
        invalid: int,
        trace: tracing.Trace | None,
    ) -> Pending:
        predictor = self.predictor
        pending = Pending(predictor, None, protocol, trace)
        start = perf_counter()

        def finish(reply: Reply) -> None:
            if trace is not None:
                trace.end(reply.status, reply.status >= 500)
            respond(reply)
            if self._logs_all and reply.status < 500:
                log_request(name.decode(), protocol, reply.status, perf_counter() - start)

        def fail(error: Exception) -> None:
            finish(with_id(failed(error, name, protocol, invalid, perf_counter() - start), name))

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
                finish(say(result))

        pending.ticket = predictor.begin(samples, protocol, done, timeout, trace)
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


def failed(error: Exception, name: bytes, protocol: str, invalid: int, seconds: float | None = None) -> Reply:
    """Return the answer to a request that failed with ``error``, which is logged where the client is not at fault."""
    reply = error_reply(error, invalid)
    if reply.status >= 500:
        log_failed(name.decode(), protocol, reply.status, seconds, error if reply.status == 500 else None)
    return reply


def with_id(reply: Reply, name: bytes) -> Reply:
    """Return ``reply`` with the request's id."""
    return Reply(reply.status, reply.body, (*reply.headers, (REQUEST_ID, name)))
