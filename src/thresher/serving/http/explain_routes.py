"""`POST /explain`: which pixels, words, columns or time steps mattered for one answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from time import perf_counter
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from thresher.errors import InvalidInputError, nearest
from thresher.modalities.encoder import Encoder
from thresher.serving.core.decode_thread import decode_in_thread
from thresher.serving.core.decoding import decode_files, decode_json
from thresher.serving.core.errors import MalformedError, OverloadedError, outcome_of
from thresher.serving.core.predictor import EXPLAIN, Predictor
from thresher.serving.core.request_id import REQUEST_ID, request_id
from thresher.serving.core.strict_json import parse_json
from thresher.serving.explain.explanation import explain_sample
from thresher.serving.http.body import read_body
from thresher.serving.http.content_types import JSON, MULTIPART, content_type, read_form
from thresher.serving.http.disconnect import cancel_on_disconnect
from thresher.serving.http.operations import check_document, refusal
from thresher.serving.http.response import Reply, header, to_json
from thresher.serving.monitoring import tracing

MAX_AT_ONCE = 2
"""Explanations in one worker: each costs up to 256 predictions, and the others' requests shall not wait for many."""
TARGET = "target"

_places = BoundedSemaphore(MAX_AT_ONCE)


async def explain(request: Request) -> Response:
    """Say of the one sample in the request, sent as to /predict, how much each of its parts adds to the answer.

    The query may name another class than the predicted one: `?target=LABEL`. Errors are answered as those of /predict;
    besides, 400 for another number of samples than one or an unknown query, 422 for an unknown class, and 503 where
    MAX_AT_ONCE explanations are being made.
    """
    predictor: Predictor = request.app.state.predictor
    name, start = request_id(header(request.scope["headers"], REQUEST_ID)), perf_counter()
    try:
        target = _asked_target(request, predictor.bundle.encoder)
        predictor.check_room()
        sample, raw = await _read_one(request, predictor)
        with _place():
            told = await cancel_on_disconnect(
                request, explain_sample(predictor, sample, raw, target, tracing.current())
            )
    except Exception as error:
        seconds = perf_counter() - start
        predictor.metrics.count_request(EXPLAIN, outcome_of(error), seconds)
        return refusal(error, name, EXPLAIN, 422, seconds).to_response()
    predictor.metrics.count_request(EXPLAIN, "ok", perf_counter() - start)
    return Reply(200, to_json({**told, "request_id": name.decode()})).with_id(name).to_response()


@contextmanager
def _place() -> Iterator[None]:
    if not _places.acquire(blocking=False):
        raise OverloadedError(f"{MAX_AT_ONCE} explanations are being computed already.")
    try:
        yield
    finally:
        _places.release()


def _asked_target(request: Request, encoder: Encoder) -> int | None:
    query = request.query_params
    if unknown := sorted(query.keys() - {TARGET}):
        raise MalformedError(f"Unknown query parameter '{unknown[0][:100]}'. {nearest(unknown[0][:100], (TARGET,))}")
    if TARGET not in query:
        return None
    label, names = query[TARGET][:100], encoder.class_names
    if not names:
        raise InvalidInputError("This model predicts a value and has no classes. Leave out 'target'.")
    if label not in names:
        raise InvalidInputError(f"No class '{label}'. {nearest(label, names)}")
    return names.index(label)


async def _read_one(request: Request, predictor: Predictor) -> tuple[np.ndarray, Any]:
    """Return the sample of the request, encoded [1, ...], and as it was sent: a value of JSON, or a file's bytes."""
    encoder = predictor.bundle.encoder
    kind = content_type(request.headers, encoder)
    body = await read_body(request, predictor.timeout)
    files = await read_form(request.headers, body, encoder) if kind == MULTIPART else []

    if kind == JSON:
        check_document(body, predictor.budget)

    def decode() -> tuple[np.ndarray, Any]:
        if kind == JSON:
            samples = decode_json(body, encoder)
        else:
            samples = decode_files(files, encoder) if files else encoder.encode_file(body)
        if len(samples) != 1:
            raise MalformedError(f"{len(samples)} {encoder.NAMES[1]} given. Send one to explain.")
        return samples, _value_in(body, encoder) if kind == JSON else files[0][1] if files else body

    return await decode_in_thread(decode, len(body), predictor.timeout)


def _value_in(body: bytes, encoder: Encoder) -> Any:
    """Return the one sample in ``body``, which has been decoded before."""
    ((name, value),) = parse_json(body).items()
    return value[0] if name == encoder.NAMES[1] else value
