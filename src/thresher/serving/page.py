"""What is at `/`: for programs what is served and a call that works when pasted, for browsers the way to the page."""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from thresher.modalities.encoder import Encoder
from thresher.modalities.image import ImageEncoder
from thresher.serving.bundle import Bundle
from thresher.serving.decoding import content_types

HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


def index_page(request: Request, bundle: Bundle) -> Response:
    """Lead a browser to the page for people, and answer anything else in JSON."""
    if "text/html" in request.headers.get("accept", ""):
        # Relative, so that a proxy may serve all this under a path of its own.
        return RedirectResponse("ui", headers={"Vary": "Accept"})
    return JSONResponse(describe(bundle, service_url(request)), headers={"Vary": "Accept"})


def describe(bundle: Bundle, url: str) -> dict[str, Any]:
    """Return what is served under ``url``, for people and programs."""
    info, encoder = bundle.info, bundle.encoder
    one, many = encoder.NAMES
    return {
        "model": info.recipe,
        "candidate": info.candidate,
        "model_version": info.model_version,
        "metrics": info.metrics,
        "task": encoder.task,
        "classes": list(encoder.class_names),
        "predict": {
            "url": f"POST {url}/predict",
            "content_types": list(content_types(encoder)),
            "json": f'Either {{"{one}": ...}} or {{"{many}": [..., ...]}}.',
            one: encoder.expected,
        },
        "other": ["POST /explain", "GET /ui", "GET /docs.json", "GET /livez", "GET /readyz", "GET /metrics"],
        "example": f"{_example(encoder)} {url}/predict",
    }


def _example(encoder: Encoder) -> str:
    """Return a shell command that sends a valid sample, but for the address at its end."""
    if isinstance(encoder, ImageEncoder):  # a PNG is far shorter than its pixels in JSON
        return f"echo {_blank_png(encoder)} | base64 -d | curl -s -H 'Content-Type: image/png' --data-binary @-"
    body = json.dumps({encoder.NAMES[0]: encoder.example()})
    return f"curl -s -H 'Content-Type: application/json' -d {shlex.quote(body)}"


def _blank_png(encoder: ImageEncoder) -> str:
    from PIL import Image

    shape = (encoder.height, encoder.width, encoder.channels)
    file = io.BytesIO()
    Image.fromarray(np.zeros(shape, np.uint8).squeeze(-1) if encoder.channels == 1 else np.zeros(shape, np.uint8)).save(
        file, "PNG"
    )
    return base64.b64encode(file.getvalue()).decode()


def service_url(request: Request) -> str:
    """Return where the caller reached this service; a Host header is anyone's text and goes into a shell command."""
    host = request.headers.get("host", "")
    return f"{request.scope['scheme']}://{host if HOST.fullmatch(host) else 'localhost:3000'}"
