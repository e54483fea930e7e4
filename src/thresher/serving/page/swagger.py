"""`GET /docs`: Swagger UI on the service's own OpenAPI document, with nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from thresher.serving.bentoml_adapter import SWAGGER
from thresher.serving.http.response import HttpError
from thresher.serving.page.routes import CONTENT_TYPES, FOLDER, SECURITY

SWAGGER_FILES = ("swagger-ui.css", "swagger-ui-bundle.js")
OWN_FILES = ("docs.js",)
POLICY = SECURITY["Content-Security-Policy"].replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
"""Swagger UI sets styles on its elements; scripts, requests and images stay the service's own."""
HEADERS = {**SECURITY, "Content-Security-Policy": POLICY}


async def show_docs(request: Request) -> Response:
    """Return the page."""
    return FileResponse(FOLDER / "docs.html", headers=HEADERS)


async def show_docs_file(request: Request) -> Response:
    """Return one of the page's files.

    Raises:
        HttpError: 404 there is no such file.
    """
    name = request.path_params["name"]
    if name in SWAGGER_FILES:
        return FileResponse(SWAGGER / name, headers=HEADERS)
    if name in OWN_FILES:
        return FileResponse(FOLDER / name, headers={**HEADERS, "Content-Type": CONTENT_TYPES[Path(name).suffix]})
    raise HttpError(404, f"The page has no file '{name[:100]}'.")


DOCS_ROUTES = [
    Route("/docs", show_docs, methods=["GET"]),
    Route("/docs/{name}", show_docs_file, methods=["GET"]),
]
