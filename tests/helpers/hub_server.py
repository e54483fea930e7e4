"""A real HTTP server on 127.0.0.1 that speaks what of a model hub's API a download needs, well or badly."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler

from helpers.http_server import serving


@dataclass
class Hub:
    """Repositories by their names; changed by tests while it runs."""

    files: dict[str, dict[str, bytes]]
    """Repository -> the files of its newest commit."""
    revisions: dict[str, str] = field(default_factory=lambda: {"main": "a" * 40})
    """Branch or tag -> commit. All commits have the same files."""
    token: str | None = None
    """What must be shown to see anything."""
    drop_after: dict[str, int] = field(default_factory=dict)
    """File -> bytes of its body after which the next connection is closed."""
    stall_after: dict[str, int] = field(default_factory=dict)
    """File -> bytes of its body after which the next connection sends nothing more until its client is gone."""
    damaged: set[str] = field(default_factory=set)
    """Files of which other bytes are sent than were announced."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each request so far."""
    ranges: list[str] = field(default_factory=list)
    """The parts of files that were asked for."""


@contextmanager
def serve_hub(hub: Hub) -> Iterator[str]:
    """Serve until the block ends; gives the address."""

    with serving(partial(_answer, hub=hub)) as address:
        yield address


def _answer(request: BaseHTTPRequestHandler, hub: Hub) -> None:
    path = request.path.partition("?")[0]
    hub.requests.append((request.command, path))
    if hub.token is not None and request.headers.get("Authorization") != f"Bearer {hub.token}":
        _refuse(request, 401, "RepoNotFound")
    elif asked := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/([^/]+)", path):
        _describe(request, hub, *asked.groups())
    elif asked := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
        _send_file(request, hub, *asked.groups())
    else:
        _refuse(request, 404, "RepoNotFound")


def _describe(request: BaseHTTPRequestHandler, hub: Hub, repository: str, revision: str) -> None:
    if repository not in hub.files:
        _refuse(request, 404, "RepoNotFound")
        return
    commit = hub.revisions.get(revision, revision)
    if commit not in hub.revisions.values():
        _refuse(request, 404, "RevisionNotFound")
        return
    siblings = []
    for name, content in hub.files[repository].items():
        described: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": "0" * 40}
        if name.endswith(".safetensors"):
            sha256 = hashlib.sha256(content).hexdigest()
            described["lfs"] = {"size": len(content), "sha256": sha256, "pointerSize": 134}
        siblings.append(described)
    body = json.dumps({"id": repository, "sha": commit, "siblings": siblings}).encode()
    request.send_response(200)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def _send_file(request: BaseHTTPRequestHandler, hub: Hub, repository: str, commit: str, name: str) -> None:
    content = hub.files.get(repository, {}).get(name)
    if content is None:
        _refuse(request, 404, "EntryNotFound")
        return
    etag = hashlib.sha256(content).hexdigest()
    if name in hub.damaged:
        content = bytes(len(content))
    ranged = re.match(r"bytes=(\d+)-", request.headers.get("Range", ""))
    start = int(ranged[1]) if ranged else 0
    if ranged:
        hub.ranges.append(ranged[0])
    request.send_response(206 if start else 200)
    if start:
        request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    request.send_header("Content-Length", str(len(content) - start))
    request.send_header("ETag", f'"{etag}"')
    request.send_header("X-Repo-Commit", commit)
    request.end_headers()
    if request.command == "GET":
        body = content[start:]
        stalled = hub.stall_after.pop(name, None)
        request.wfile.write(body[: hub.drop_after.pop(name, len(body) if stalled is None else stalled)])
        if stalled is not None:
            request.rfile.read(1)


def _refuse(request: BaseHTTPRequestHandler, status: int, code: str) -> None:
    request.send_response(status)
    request.send_header("X-Error-Code", code)
    request.send_header("Content-Length", "0")
    request.end_headers()
