"""The HTTP interface: `POST /predict` and a page that explains it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from thresher.errors import InvalidInputError
from thresher.serving.core.batcher import DeadlineError, OverloadedError
from thresher.serving.core.decoding import JSON, MULTIPART, content_type, decode_files, decode_json, read_form
from thresher.serving.core.predictor import Predictor
from thresher.serving.core.tensors import UnknownModelError
from thresher.serving.http.body import decode_beside, read_body
from thresher.serving.http.disconnect import unless_gone
from thresher.serving.http.explain_routes import explain
from thresher.serving.http.fast_path import failed, predict_document, with_id
from thresher.serving.http.response import FAILED, HINT, REQUEST_ID, Reply, error_reply, header, request_id, to_json
from thresher.serving.http.v2_routes import v2_routes
from thresher.serving.page.index import index_page
from thresher.serving.page.routes import UI_ROUTES
from thresher.serving.page.swagger import DOCS_ROUTES


def create_app() -> Starlette:
    """Return the ASGI app; it answers once `app.state.predictor` holds a Predictor."""
    kinds = (InvalidInputError, OverloadedError, DeadlineError, UnknownModelError)
    return Starlette(
        routes=[
            Route("/", index, methods=["GET"]),
            Route("/predict", predict, methods=["POST"]),
            Route("/explain", explain, methods=["POST"]),
            *UI_ROUTES,
            *DOCS_ROUTES,
            *v2_routes(),
        ],
        exception_handlers={
            HTTPException: _answer_http,
            **dict.fromkeys(kinds, _answer_error),
            Exception: _answer_unexpected,
        },
    )


async def index(request: Request) -> Response:
    """Say what is served and how to call it."""
    predictor: Predictor = request.app.state.predictor
    return index_page(request, predictor.bundle)


async def predict(request: Request) -> Response:
    """Answer one prediction for each sample in the request."""
    predictor: Predictor = request.app.state.predictor
    name = request_id(header(request.scope["headers"], REQUEST_ID))
    try:
        predictor.check_room()
        samples = await decode_samples(request, predictor)
    except Exception as error:
        predictor.count_refused("rest", error)
        return with_id(failed(error, name, "rest", 422), name).to_response()
    try:
        outputs = await unless_gone(request, predictor.infer(samples, "rest"))
    except Exception as error:
        return with_id(failed(error, name, "rest", 422), name).to_response()
    return with_id(Reply(200, predict_document(predictor, outputs, name)), name).to_response()


async def decode_samples(request: Request, predictor: Predictor) -> np.ndarray:
    """Return the samples [N, ...] in the body of ``request``, of any content type that there is, encoded.

    Raises:
        HTTPException: a wrong content type or a body that is not of it, with what is allowed.
        InvalidInputError: a sample of a wrong shape, type or range.
    """
    encoder = predictor.bundle.encoder
    kind = content_type(request.headers, encoder)
    body = await read_body(request, predictor.timeout)
    decode: Callable[[], np.ndarray] = partial(encoder.encode_file, body)
    if kind == JSON:
        decode = partial(decode_json, body, encoder)
    elif kind == MULTIPART:
        decode = partial(decode_files, await read_form(request.headers, body, encoder), encoder)
    return await decode_beside(decode, len(body), predictor.timeout)


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = f"{request.method} is not allowed here. {HINT}" if error.status_code == 405 else error.detail
    return error_reply(HTTPException(error.status_code, detail, error.headers)).to_response()


async def _answer_error(request: Request, error: Exception) -> Response:
    return error_reply(error).to_response()


async def _answer_unexpected(request: Request, error: Exception) -> Response:
    return Reply(500, to_json({"error": FAILED})).to_response()
