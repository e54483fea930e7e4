"""What a request is answered with, before any server has a say in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from os import urandom
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response

from thresher.errors import InvalidInputError
from thresher.serving.core.batcher import DeadlineError, OverloadedError
from thresher.serving.core.tensors import UnknownModelError

REQUEST_ID = b"x-request-id"
MOST_ID_BYTES = 128
MAX_TEXT = 2000
"""Characters of an error's text, in which some of what was sent may be repeated."""
RETRY_AFTER_SECONDS = 1
HINT = "Send a POST to /predict or /v2/models/NAME/infer; GET / shows an example."
FAILED = "The service failed; its log says why."

Headers = list[tuple[bytes, bytes]]
JSON_TYPE = (b"content-type", b"application/json")

_prefix, _numbers = urandom(4).hex(), count()


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, headers with names in lower case, and body; `content-length` is the server's to add."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = (JSON_TYPE,)

    def to_response(self) -> Response:
        """Return the same as Starlette says it."""
        response = Response(self.body, self.status)
        response.raw_headers[:0] = list(self.headers)
        return response


def header(headers: Headers, name: bytes) -> bytes:
    """Return the value of a request's header; empty where there is none."""
    for key, value in headers:
        if key == name:
            return value
    return b""


def request_id(given: bytes) -> bytes:
    """Return the request's id: the client's own, where it is one that can stand in a header and a log, or a new one."""
    if given and len(given) <= MOST_ID_BYTES and given.isascii() and given.decode().isprintable():
        return given
    return b"%s-%x" % (_prefix.encode(), next(_numbers))


def error_reply(error: Exception, invalid: int = 422) -> Reply:
    """Return the answer to a request that failed with ``error``.

    Args:
        invalid: the status for an input that the model does not take.
    """
    if isinstance(error, HTTPException):
        return _say(error.status_code, error.detail, error.headers)
    if isinstance(error, InvalidInputError):
        return _say(invalid, str(error))
    if isinstance(error, UnknownModelError):
        return _say(404, str(error))
    if isinstance(error, OverloadedError):
        text = f"Overloaded: {error} Try again in {RETRY_AFTER_SECONDS} s."
        return _say(503, text, {"Retry-After": str(RETRY_AFTER_SECONDS)})
    if isinstance(error, DeadlineError):
        return _say(504, f"{error} Ask again, with a longer timeout, or less at a time.")
    return _say(500, FAILED)


def to_json(document: Any) -> bytes:
    """Return ``document`` as JSON; arrays of numpy as lists, their numbers with as many digits as tell them apart."""
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def _say(status: int, text: str, headers: Mapping[str, str] | None = None) -> Reply:
    text = text[:MAX_TEXT].encode("utf-8", "backslashreplace").decode()  # half of a surrogate pair has no UTF-8
    more = tuple((name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items())
    return Reply(status, to_json({"error": text}), (JSON_TYPE, *more))
