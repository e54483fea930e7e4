"""`POST /explain`: which pixels, words, columns or time steps mattered for one answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from time import perf_counter
from typing import Any

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from thresher.errors import InvalidInputError, nearest
from thresher.modalities.encoder import Encoder
from thresher.modalities.text.encoder import TextEncoder
from thresher.serving.core.batcher import OverloadedError
from thresher.serving.core.decoding import JSON, MULTIPART, content_type, decode_files, decode_json, read_form
from thresher.serving.core.predictor import EXPLAIN, Predictor, outcome_of
from thresher.serving.core.strict_json import parse_json
from thresher.serving.explain.occlusion import Occlusion, occlude
from thresher.serving.http.body import decode_beside, read_body
from thresher.serving.http.disconnect import unless_gone
from thresher.serving.http.fast_path import failed, with_id
from thresher.serving.http.response import REQUEST_ID, Reply, header, request_id, to_json

MAX_AT_ONCE = 2
"""Explanations in one worker: each costs up to 256 predictions, and the others' requests shall not wait for many."""
MAX_PIECE = 32
"""Copies that wait for the model together, so that other requests come in between."""
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
            told = await unless_gone(request, _explain(predictor, sample, raw, target))
    except Exception as error:
        seconds = perf_counter() - start
        predictor.metrics.count_request(EXPLAIN, outcome_of(error), seconds)
        return with_id(failed(error, name, EXPLAIN, 422, seconds), name).to_response()
    predictor.metrics.count_request(EXPLAIN, "ok", perf_counter() - start)
    return with_id(Reply(200, to_json({**told, "request_id": name.decode()})), name).to_response()


@contextmanager
def _place() -> Iterator[None]:
    if not _places.acquire(blocking=False):
        raise OverloadedError(f"{MAX_AT_ONCE} explanations are being made already.")
    try:
        yield
    finally:
        _places.release()


async def _explain(predictor: Predictor, sample: np.ndarray, raw: Any, asked: int | None) -> dict[str, Any]:
    encoder, info = predictor.bundle.encoder, predictor.bundle.info
    base = (await predictor.infer(sample, EXPLAIN))[0]
    target = int(base.argmax()) if asked is None else asked
    occlusion = occlude(encoder, sample, raw)
    pieces = _pieces(occlusion, encoder, min(MAX_PIECE, info.max_batch_size))
    answers = [(await predictor.infer(piece, EXPLAIN))[:, target] for piece in pieces]
    # In double precision: two answers that are alike but for their last bits have a difference of few.
    drops = base[target].astype(np.float64) - np.concatenate(answers)
    return {
        "model": info.recipe,
        "model_version": info.model_version,
        **_say_answer(base, target, encoder.class_names),
        "method": "occlusion",
        "input": encoder.model_input.name,
        "num_copies": occlusion.num_copies,
        **occlusion.tell(drops),
    }


def _say_answer(base: np.ndarray, target: int, names: tuple[str, ...]) -> dict[str, Any]:
    numbers = base.tolist()
    if not names:
        return {"value": numbers[0]}
    return {"label": names[int(base.argmax())], "target": names[target], "probability": numbers[target]}


def _pieces(occlusion: Occlusion, encoder: Encoder, size: int) -> Iterator[np.ndarray]:
    """Give the copies in batches, each made when it is needed: those of a large image would fill the memory."""
    for start in range(0, occlusion.num_copies, size):
        indices = range(start, min(start + size, occlusion.num_copies))
        yield encoder.model_input.join([occlusion.copy(index) for index in indices])


def _asked_target(request: Request, encoder: Encoder) -> int | None:
    query = request.query_params
    if unknown := sorted(query.keys() - {TARGET}):
        raise HTTPException(400, f"Unknown query '{unknown[0][:100]}'. {nearest(unknown[0][:100], (TARGET,))}")
    if TARGET not in query:
        return None
    label, names = query[TARGET][:100], encoder.class_names
    if not names:
        raise InvalidInputError("This model gives a value and has no classes; leave out 'target'.")
    if label not in names:
        raise InvalidInputError(f"No class '{label}'. {nearest(label, names)}")
    return names.index(label)


async def _read_one(request: Request, predictor: Predictor) -> tuple[np.ndarray, str]:
    """Return the sample of the request, encoded [1, ...], and its text, if it is one."""
    encoder = predictor.bundle.encoder
    kind = content_type(request.headers, encoder)
    body = await read_body(request, predictor.timeout)
    files = await read_form(request.headers, body, encoder) if kind == MULTIPART else []

    def decode() -> tuple[np.ndarray, str]:
        if kind == JSON:
            samples = decode_json(body, encoder)
        else:
            samples = decode_files(files, encoder) if files else encoder.encode_file(body)
        if len(samples) != 1:
            raise HTTPException(400, f"{len(samples)} {encoder.NAMES[1]} given. Send one to explain.")
        if not isinstance(encoder, TextEncoder):
            return samples, ""
        return samples, _text_of(body) if kind == JSON else (files[0][1] if files else body).decode("utf-8-sig")

    return await decode_beside(decode, len(body), predictor.timeout)


def _text_of(body: bytes) -> str:
    """Return the one text in ``body``, which has been decoded before."""
    (value,) = parse_json(body).values()
    return str(value[0] if isinstance(value, list) else value)
