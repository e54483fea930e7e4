"""The protocol's REST routes as part of the ASGI app."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from thresher.serving.core.predictor import Predictor
from thresher.serving.core.tensors import model_metadata, server_metadata
from thresher.serving.http.body import decode_beside, read_body
from thresher.serving.http.disconnect import unless_gone
from thresher.serving.http.fast_path import failed, with_id
from thresher.serving.http.response import REQUEST_ID, Reply, header, request_id, to_json
from thresher.serving.http.v2_codec import HEADER_LENGTH

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


def v2_routes() -> list[Route]:
    """Return the routes of the Open Inference Protocol, version 2; `app.state.predictor` answers."""
    model, version = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"
    gets: dict[str, Endpoint] = {"/v2/health/live": live, "/v2/health/ready": live, "/v2": server, "/v2/": server}
    for path in (model, version):
        gets |= {path: metadata, f"{path}/ready": ready}
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


async def infer(request: Request) -> Response:
    """Answer requests that are too large or too odd for the hot route, in the same way."""
    headers = request.scope["headers"]
    name = request_id(header(headers, REQUEST_ID))
    predictor: Predictor = request.app.state.predictor
    try:
        predictor.tensors.check_model(request.path_params["name"], request.path_params.get("version", ""))
        predictor.check_room()
        body, length = await read_body(request, predictor.timeout), header(headers, HEADER_LENGTH)
        asked = await decode_beside(lambda: predictor.codec.read(body, length), len(body), predictor.timeout)
    except Exception as error:
        predictor.count_refused("v2_rest", error)
        return with_id(failed(error, name, "v2_rest", 400), name).to_response()
    try:
        outputs = await unless_gone(request, predictor.infer(asked.samples, "v2_rest", asked.head.timeout))
    except Exception as error:
        return with_id(failed(error, name, "v2_rest", 400), name).to_response()
    return with_id(predictor.codec.write(asked, outputs), name).to_response()


async def _about_model(request: Request, say: Callable[[Predictor], Response]) -> Response:
    predictor: Predictor = request.app.state.predictor
    predictor.tensors.check_model(request.path_params["name"], request.path_params.get("version", ""))
    return say(predictor)


def _json(document: Any) -> Response:
    return Reply(200, to_json(document)).to_response()
