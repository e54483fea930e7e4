"""A real HTTP server on 127.0.0.1 that serves bytes, well or badly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler

from helpers.http_server import serving


@dataclass
class Behaviour:
    """What the server does; changed by tests while it runs."""

    files: dict[str, bytes]
    knows_ranges: bool = True
    wrong_range: bool = False
    drop_after: int | None = None
    """Close each connection after so many bytes of the body, whatever was announced."""
    announces_length: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    """Others to send."""
    statuses: list[int] = field(default_factory=list)
    """Answers to give before any proper one."""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range header of each request so far."""


@contextmanager
def serve(behaviour: Behaviour) -> Iterator[str]:
    """Serve until the block ends; gives the address."""

    with serving(partial(_answer, behaviour=behaviour)) as address:
        yield f"{address}/"


def _answer(request: BaseHTTPRequestHandler, behaviour: Behaviour) -> None:
    asked = request.headers.get("Range")
    behaviour.requests.append((request.path, asked))
    content = behaviour.files.get(request.path.lstrip("/"))
    if behaviour.statuses or content is None:
        request.send_error(behaviour.statuses.pop(0) if behaviour.statuses else 404)
        return
    start = int(re.findall(r"\d+", asked)[0]) if asked and behaviour.knows_ranges else 0
    if start and start >= len(content):
        request.send_error(416)
        return
    body = content[start:]
    request.send_response(206 if start else 200)
    if start:
        told = 0 if behaviour.wrong_range else start
        request.send_header("Content-Range", f"bytes {told}-{len(content) - 1}/{len(content)}")
    if behaviour.announces_length:
        request.send_header("Content-Length", str(len(body)))
    for name, value in behaviour.headers.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body if behaviour.drop_after is None else body[: behaviour.drop_after])
