"""The HTTP interface: `POST /predict` and a page that explains it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from thresher.errors import InvalidInputError
from thresher.serving.batcher import OverloadedError
from thresher.serving.body import read_body
from thresher.serving.decoding import JSON, MULTIPART, content_type, decode_files, decode_json, read_form
from thresher.serving.page import index_page
from thresher.serving.predictor import Predictor

LARGE_BODY_BYTES = 128 * 2**10
RETRY_AFTER_SECONDS = 1
HINT = "Send a POST to /predict; GET / shows an example."

# Large bodies are decoded one after another beside the event loop: health checks stay quick, and the many
# Python objects of a large JSON document exist once, not once a request.
_large_bodies = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decoding")


def create_app() -> Starlette:
    """Return the ASGI app; it answers once `app.state.predictor` holds a Predictor."""
    return Starlette(
        routes=[Route("/", index, methods=["GET"]), Route("/predict", predict, methods=["POST"])],
        exception_handlers={
            HTTPException: _answer_http,
            InvalidInputError: _answer_invalid,
            OverloadedError: _answer_overloaded,
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
    samples = await _decode(request, predictor)
    predictions = await _unless_gone(request, predictor.predict(samples))
    info = predictor.bundle.info
    return JSONResponse({"predictions": predictions, "model": info.recipe, "model_version": info.model_version})


async def _decode(request: Request, predictor: Predictor) -> np.ndarray:
    encoder = predictor.bundle.encoder
    kind = content_type(request.headers, encoder)
    body = await read_body(request)
    decode: Callable[[], np.ndarray] = partial(encoder.encode_file, body)
    if kind == JSON:
        decode = partial(decode_json, body, encoder)
    elif kind == MULTIPART:
        decode = partial(decode_files, await read_form(request.headers, body, encoder), encoder)
    if len(body) < LARGE_BODY_BYTES:
        return decode()
    return await asyncio.get_running_loop().run_in_executor(_large_bodies, decode)


async def _unless_gone(request: Request, work: Coroutine[Any, Any, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the result of ``work``, or cancel it when the client hangs up: its place is someone else's."""
    answer, gone = asyncio.ensure_future(work), asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise HTTPException(400, "The client hung up.")
        return answer.result()
    finally:
        answer.cancel()
        gone.cancel()


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = f"{request.method} is not allowed here. {HINT}" if error.status_code == 405 else error.detail
    return JSONResponse({"error": detail}, error.status_code, error.headers)


async def _answer_invalid(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 422)


async def _answer_overloaded(request: Request, error: Exception) -> Response:
    text = f"Overloaded: {error} Try again in {RETRY_AFTER_SECONDS} s."
    return JSONResponse({"error": text}, 503, {"Retry-After": str(RETRY_AFTER_SECONDS)})


async def _answer_unexpected(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "The service failed; its log says why."}, 500)
