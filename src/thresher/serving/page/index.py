"""The answer at `/`: for programs, the model with a command that calls it; for browsers, a redirect to the page."""

from __future__ import annotations

import base64
import json
import re
import shlex
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from thresher.modalities.encoder import Encoder
from thresher.serving.core.bundle import Bundle
from thresher.serving.core.example import read_example, sample_of
from thresher.serving.http.content_types import content_types

HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


def index_page(request: Request, bundle: Bundle) -> Response:
    """Redirect a browser to the page for people, and answer other clients in JSON."""
    if "text/html" in request.headers.get("accept", ""):
        # Relative, so that a proxy may serve all this under a path of its own.
        return RedirectResponse("ui", headers={"Vary": "Accept"})
    return JSONResponse(describe(bundle, service_url(request)), headers={"Vary": "Accept"})


def describe(bundle: Bundle, url: str) -> dict[str, Any]:
    """Return a description of the model that is served under ``url``."""
    info, encoder = bundle.info, bundle.encoder
    one, many = encoder.NAMES
    example = read_example(bundle)
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
        "other": [
            "POST /explain",
            "GET /ui",
            "GET /docs",
            "GET /docs.json",
            "GET /livez",
            "GET /readyz",
            "GET /metrics",
        ],
        "example": f"{_example(encoder, sample_of(bundle))} {url}/predict",
        **({} if example is None else {"example_answer": example.answer}),
    }


def _example(encoder: Encoder, sample: Any) -> str:
    """Return a shell command that sends ``sample``, without the address at its end."""
    if (file := encoder.write_file(sample)) is not None:
        kind, content = file
        sent = base64.b64encode(content).decode()
        return f"echo {sent} | base64 -d | curl -s -H 'Content-Type: {kind}' --data-binary @-"
    body = json.dumps({encoder.NAMES[0]: sample})
    return f"curl -s -H 'Content-Type: application/json' -d {shlex.quote(body)}"


def service_url(request: Request) -> str:
    """Return where the caller reached this service; a Host header is anyone's text and goes into a shell command."""
    host = request.headers.get("host", "")
    return f"{request.scope['scheme']}://{host if HOST.fullmatch(host) else 'localhost:3000'}"
