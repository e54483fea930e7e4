"""The page for people at `/ui`: its files, which are packed with the code, and the champion's description."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from thresher.modalities.service import service_of
from thresher.serving.core.bundle import CARD_FILE, VERDICT_FILE, Bundle
from thresher.serving.core.example import sample_of
from thresher.serving.http.response import HttpError
from thresher.serving.page.index import describe, service_url

FOLDER = Path(__file__).with_name("ui")
START, WIDGET = "index.html", "widget.js"
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".json": "application/json",
}
SECURITY = {
    # Nothing from elsewhere, nothing to elsewhere, nothing inline: whatever a card or a label says, it is text.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


async def show_page(request: Request) -> Response:
    """Return the page itself."""
    return _answer(START, _read_files()[START])


async def show_file(request: Request) -> Response:
    """Return one of the page's files, or an attachment of the champion.

    Raises:
        HttpError: 404 there is no such file.
    """
    name = request.path_params["name"]
    bundle: Bundle = request.app.state.predictor.bundle
    own = {shown: bundle.attachments[shown] for shown in (CARD_FILE, VERDICT_FILE) if shown in bundle.attachments}
    own[WIDGET] = service_of(bundle.encoder).WIDGET.read_bytes()
    content = (_read_files() | own).get(name)
    if content is None:
        raise HttpError(404, f"The page has no file '{name[:100]}'.")
    return _answer(name, content)


async def show_model(request: Request) -> Response:
    """Return the champion's description and the form of an input, which the page asks for."""
    bundle: Bundle = request.app.state.predictor.bundle
    return JSONResponse(page_model(bundle, service_url(request)), headers=SECURITY)


def page_model(bundle: Bundle, url: str) -> dict[str, Any]:
    """Return the model's description, with the settings of the form for an input."""
    encoder, info, sample = bundle.encoder, bundle.info, sample_of(bundle)
    return {
        **describe(bundle, url),
        "created": info.created.isoformat(),
        "mlflow_run_id": info.mlflow_run_id,
        "git_commit": info.git_commit,
        "attachments": sorted(bundle.attachments),
        "name": encoder.NAMES[0],
        "expected": encoder.expected,
        "sample": sample if encoder.write_file(sample) is None else None,
        "input": {"kind": encoder.model_input.name, **service_of(encoder).form()},
    }


def _answer(name: str, content: bytes) -> Response:
    return Response(content, headers={**SECURITY, "Content-Type": CONTENT_TYPES[Path(name).suffix]})


def _read_files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix in CONTENT_TYPES}


UI_ROUTES = [
    Route("/ui", show_page, methods=["GET"]),
    Route("/ui/model.json", show_model, methods=["GET"]),
    Route("/ui/{name}", show_file, methods=["GET"]),
]
