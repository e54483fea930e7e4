"""The protocol's REST routes as part of the ASGI app."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from thresher.serving.core.predictor import Predictor
from thresher.serving.core.tensors import model_metadata, server_metadata
from thresher.serving.http.operations import Infer, endpoint
from thresher.serving.http.response import Reply, to_json

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


def v2_routes() -> list[Route]:
    """Return the routes of the Open Inference Protocol, version 2; `app.state.predictor` answers."""
    model, version = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"
    gets: dict[str, Endpoint] = {"/v2/health/live": live, "/v2/health/ready": live, "/v2": server, "/v2/": server}
    for path in (model, version):
        gets |= {path: metadata, f"{path}/ready": ready}
    infer = endpoint(Infer)
    posts = [Route(f"{path}/infer", infer, methods=["POST"]) for path in (model, version)]
    return [*(Route(path, endpoint, methods=["GET"]) for path, endpoint in gets.items()), *posts]


async def live(request: Request) -> Response:
    """Answer 200: what answers is alive, and it answers nothing before the model has run once."""
    return Response()


async def server(request: Request) -> Response:
    """Say name, version and extensions of the server."""
    return _json(server_metadata())


async def metadata(request: Request) -> Response:
    """Say what the model takes and answers."""
    return await _about_model(request, lambda predictor: _json(model_metadata(predictor.tensors)))


async def ready(request: Request) -> Response:
    """Answer 200 where the model is served here."""
    return await _about_model(request, lambda predictor: Response())


async def _about_model(request: Request, say: Callable[[Predictor], Response]) -> Response:
    predictor: Predictor = request.app.state.predictor
    predictor.tensors.check_model(request.path_params["name"], request.path_params.get("version", ""))
    return say(predictor)


def _json(document: Any) -> Response:
    return Reply(200, to_json(document)).to_response()
