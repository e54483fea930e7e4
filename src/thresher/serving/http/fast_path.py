"""The fast path: requests to predict, answered without an ASGI app between server and batcher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np

from thresher.serving.core.predictor import Predictor
from thresher.serving.core.queue_entry import QueueEntry
from thresher.serving.core.request_id import REQUEST_ID, request_id
from thresher.serving.http.operations import Infer, Operation, Predict, refusal
from thresher.serving.http.response import Headers, Reply, header
from thresher.serving.http.v2_codec import HEADER_LENGTH
from thresher.serving.monitoring import tracing
from thresher.serving.monitoring.logs import log_request, wants_access_log

MAX_JSON_BYTES = 128 * 2**10
"""The ASGI app takes larger documents, and decodes them in a thread."""
MAX_BINARY_BYTES = 4 * 2**20

Respond = Callable[[Reply], None]


@dataclass(slots=True)
class Pending:
    """A request that waits for its answer."""

    predictor: Predictor
    entry: QueueEntry | None
    protocol: str
    trace: tracing.Trace | None

    def cancel(self) -> None:
        """Remove the request from the queue: its client has disconnected."""
        if self.entry is not None:
            self.predictor.cancel(self.entry, self.protocol)
        if self.trace is not None:
            self.trace.end(tracing.DISCONNECTED, is_error=False)


Answer = Callable[[Headers, "bytes | bytearray", Respond], Pending]


class FastRoutes:
    """The routes of the fast path: `POST /predict` with JSON, and `POST /v2/models/NAME[/versions/V]/infer`.

    A request needs a declared and modest length.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self._logs_all = wants_access_log()
        name, version = predictor.tensors.name, predictor.tensors.version
        infer: Operation = Infer(predictor)
        self._operations = {
            "/predict": Predict(predictor),
            f"/v2/models/{name}/infer": infer,
            f"/v2/models/{name}/versions/{version}/infer": infer,
        }

    def find(self, method: str, path: str, headers: Headers) -> Answer | None:
        """Return what answers the request; None where the ASGI app does."""
        operation = self._operations.get(path)
        if operation is None or method != "POST":
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
        if not length.isdigit() or len(length) > 8 or not operation.reads(kind):
            return None
        most = MAX_BINARY_BYTES if binary else MAX_JSON_BYTES
        return partial(self._answer, operation) if int(length) <= most else None

    def _answer(self, operation: Operation, headers: Headers, body: bytes | bytearray, respond: Respond) -> Pending:
        predictor, protocol = self.predictor, operation.protocol
        name, start = request_id(header(headers, REQUEST_ID)), perf_counter()
        trace = tracing.start(operation.span, headers, name.decode())
        pending = Pending(predictor, None, protocol, trace)

        def finish(reply: Reply) -> None:
            if trace is not None:
                trace.end(reply.status, reply.status >= 500)
            respond(reply)
            if self._logs_all and reply.status < 500:
                log_request(name.decode(), protocol, reply.status, perf_counter() - start)

        def fail(error: Exception) -> None:
            finish(refusal(error, name, protocol, operation.invalid, perf_counter() - start))

        try:
            predictor.check_room()
            asked = operation.read(headers, body, name)
        except Exception as error:
            predictor.count_refused(protocol, error)
            fail(error)
            return pending

        def done(result: np.ndarray | Exception) -> None:
            if isinstance(result, Exception):
                fail(result)
            else:
                finish(asked.write(result))

        pending.entry = predictor.begin(asked.samples, protocol, done, asked.timeout, trace, len(body))
        return pending
