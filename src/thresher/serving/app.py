"""The HTTP interface: `POST /predict` and a page that explains it."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from thresher.errors import InvalidInputError
from thresher.serving.core.errors import FAILED, DeadlineError, OverloadedError, RequestError
from thresher.serving.core.predictor import Predictor
from thresher.serving.http.explain_routes import explain
from thresher.serving.http.operations import Predict, endpoint
from thresher.serving.http.response import HINT, HttpError, Reply, error_reply, to_json
from thresher.serving.http.v2_routes import v2_routes
from thresher.serving.page.index import index_page
from thresher.serving.page.routes import UI_ROUTES
from thresher.serving.page.swagger import DOCS_ROUTES


def create_app() -> Starlette:
    """Return the ASGI app; it answers once `app.state.predictor` holds a Predictor."""
    kinds = (InvalidInputError, RequestError, OverloadedError, DeadlineError)
    return Starlette(
        routes=[
            Route("/", index, methods=["GET"]),
            Route("/predict", endpoint(Predict), methods=["POST"]),
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


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = f"{request.method} is not allowed here. {HINT}" if error.status_code == 405 else error.detail
    return error_reply(HttpError(error.status_code, detail, error.headers)).to_response()


async def _answer_error(request: Request, error: Exception) -> Response:
    return error_reply(error).to_response()


async def _answer_unexpected(request: Request, error: Exception) -> Response:
    return Reply(500, to_json({"error": FAILED})).to_response()
