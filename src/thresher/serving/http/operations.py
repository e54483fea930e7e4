"""The operations of the model, predict and infer: each is read and answered alike on the fast path and in the app."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import lru_cache, partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from thresher.serving.core.byte_budget import ByteBudget
from thresher.serving.core.decode_thread import LARGE_BODY_BYTES, decode_in_thread
from thresher.serving.core.decoding import decode_files, decode_json
from thresher.serving.core.predictions import list_predictions
from thresher.serving.core.predictor import Predictor
from thresher.serving.core.request_id import REQUEST_ID, request_id
from thresher.serving.core.strict_json import num_decoded_bytes
from thresher.serving.http.body import read_body
from thresher.serving.http.content_types import JSON, MULTIPART, content_type, read_form
from thresher.serving.http.disconnect import cancel_on_disconnect
from thresher.serving.http.reservation import reservation_of
from thresher.serving.http.response import Headers, Reply, error_reply, header, to_json
from thresher.serving.http.v2_codec import HEADER_LENGTH, InferCodec
from thresher.serving.monitoring import tracing
from thresher.serving.monitoring.logs import log_failed


class Asked(NamedTuple):
    """A request, read and encoded."""

    samples: np.ndarray
    """Encoded, [N, ...]."""
    timeout: float | None
    """Seconds until its turn must have come; None for the recipe's."""
    write: Callable[[np.ndarray], Reply]
    """Makes the reply from the model's outputs [N, K] or [N, 1]."""


class Operation(Protocol):
    """One kind of request that the model answers."""

    protocol: str
    """The operation's name in the metrics and the log."""
    span: str
    """The operation's name in a trace."""
    invalid: int
    """The status for an input that the model does not take."""

    def __init__(self, predictor: Predictor) -> None: ...

    def reads(self, content_type: bytes) -> bool:
        """Return whether `read` reads a body of this type."""

    def read(self, headers: Headers, body: bytes | bytearray, name: bytes) -> Asked:
        """Return what the request called ``name`` asks for, of a body that is not compressed."""

    async def read_any(self, request: Request, name: bytes) -> Asked:
        """Return what a request asks for, of any type and compressed or not; a large body is decoded in a thread."""


class Predict:
    """`POST /predict`: samples in JSON, or as files."""

    protocol, span, invalid = "rest", "POST /predict", 422

    def __init__(self, predictor: Predictor) -> None:
        self._timeout, self._info, self._budget = predictor.timeout, predictor.bundle.info, predictor.budget
        self._encoder = predictor.bundle.encoder

    def reads(self, content_type: bytes) -> bool:
        """Return whether the body is JSON."""
        return content_type == JSON.encode()

    def read(self, headers: Headers, body: bytes | bytearray, name: bytes) -> Asked:
        """Return what a request in JSON asks for.

        Raises:
            MalformedError, TooLargeError, InvalidInputError: see `decode_json`.
        """
        return self._asked(decode_json(bytes(body), self._encoder), name)

    async def read_any(self, request: Request, name: bytes) -> Asked:
        """Return what a request asks for.

        Raises:
            HttpError: another content type or encoding than those that there are, or a body that breaks a bound.
            MalformedError, TooLargeError: a body that is not of its type, or has too many samples.
            InvalidInputError: a sample of a wrong shape, type or range.
            DeadlineError: the body's turn to be decoded did not come.
        """
        encoder, kind = self._encoder, content_type(request.headers, self._encoder)
        body = await read_body(request, self._timeout)
        decode: Callable[[], np.ndarray] = partial(encoder.encode_file, body)
        if kind == JSON:
            check_document(body, self._budget)
            decode = partial(decode_json, body, encoder)
        elif kind == MULTIPART:
            decode = partial(decode_files, await read_form(request.headers, body, encoder), encoder)
        return self._asked(await decode_in_thread(decode, len(body), self._timeout), name)

    def _asked(self, samples: np.ndarray, name: bytes) -> Asked:
        def write(outputs: np.ndarray) -> Reply:
            return Reply(200, self._document(outputs, name)).with_id(name)

        return Asked(samples, None, write)

    def _document(self, outputs: np.ndarray, name: bytes) -> bytes:
        return to_json(
            {
                "predictions": list_predictions(outputs, self._encoder, self._info.decision),
                "model": self._info.recipe,
                "model_version": self._info.model_version,
                "request_id": name.decode(),
            }
        )


class Infer:
    """`POST /v2/models/{model_name}/infer` of the Open Inference Protocol, with the model's version or without it."""

    protocol, span, invalid = "v2_rest", "POST /v2/models/{model_name}/infer", 400

    def __init__(self, predictor: Predictor) -> None:
        self._timeout, self._tensors, self._budget = predictor.timeout, predictor.tensors, predictor.budget
        self._codec = InferCodec(predictor.tensors)

    def reads(self, content_type: bytes) -> bool:
        """Return True: clients of the protocol name types as they like."""
        return True

    def read(self, headers: Headers, body: bytes | bytearray, name: bytes) -> Asked:
        """Return what a request asks for.

        Raises:
            MalformedError, TooLargeError, UnknownModelError, InvalidInputError: see `InferCodec.read`.
        """
        request = self._codec.read(body, header(headers, HEADER_LENGTH))

        def write(outputs: np.ndarray) -> Reply:
            return self._codec.write(request, outputs).with_id(name)

        return Asked(request.samples, request.head.timeout, write)

    async def read_any(self, request: Request, name: bytes) -> Asked:
        """Do as `read`; besides, the errors of the path's model, of `read_body` and of `decode_in_thread`."""
        self._tensors.check_model(request.path_params["name"], request.path_params.get("version", ""))
        body = await read_body(request, self._timeout)
        if HEADER_LENGTH.decode() not in request.headers:
            check_document(body, self._budget)
        return await decode_in_thread(lambda: self.read(request.scope["headers"], body, name), len(body), self._timeout)


def check_document(body: bytes, budget: ByteBudget) -> None:
    """Check that a large document in JSON fits into memory as it is decoded.

    Raises:
        TooLargeError: it does not.
    """
    if len(body) > LARGE_BODY_BYTES:
        budget.check_decoded(num_decoded_bytes(body))


def endpoint(kind: type[Operation]) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """Return what answers requests of one kind in the ASGI app: those that the fast path does not take."""
    made_for = lru_cache(maxsize=1)(kind)  # an operation keeps what it has read of requests alike

    async def answer(request: Request) -> Response:
        predictor: Predictor = request.app.state.predictor
        operation, name = made_for(predictor), request_id(header(request.scope["headers"], REQUEST_ID))
        try:
            predictor.check_room()
            asked = await operation.read_any(request, name)
        except Exception as error:
            predictor.count_refused(operation.protocol, error)
            return refusal(error, name, operation.protocol, operation.invalid).to_response()
        reserved = reservation_of(request.scope).num_bytes
        work = predictor.infer(asked.samples, operation.protocol, asked.timeout, tracing.current(), reserved)
        try:
            outputs = await cancel_on_disconnect(request, work)
        except Exception as error:
            return refusal(error, name, operation.protocol, operation.invalid).to_response()
        return asked.write(outputs).to_response()

    return answer


def refusal(error: Exception, name: bytes, protocol: str, invalid: int, seconds: float | None = None) -> Reply:
    """Return the answer to a request that failed with ``error``, which is logged where the client is not at fault."""
    reply = error_reply(error, invalid)
    if reply.status >= 500:
        log_failed(name.decode(), protocol, reply.status, seconds, error if reply.status == 500 else None)
    return reply.with_id(name)
