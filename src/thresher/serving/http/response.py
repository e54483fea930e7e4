"""Replies: status, headers and body, independent of the server that sends them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.responses import Response

from thresher.errors import InvalidInputError
from thresher.serving.core.errors import (
    FAILED,
    RETRY_AFTER_SECONDS,
    DeadlineError,
    DisconnectedError,
    MalformedError,
    OverloadedError,
    RequestError,
    TooLargeError,
    UnknownModelError,
)
from thresher.serving.core.request_id import REQUEST_ID

MAX_TEXT = 2000
"""The most characters of an error's text, which may repeat some of the request."""
HINT = "Send a POST to /predict or /v2/models/NAME/infer; GET / shows an example."

Headers = list[tuple[bytes, bytes]]
JSON_TYPE = (b"content-type", b"application/json")
STATUS: dict[type[RequestError], int] = {
    MalformedError: 400,
    DisconnectedError: 400,
    UnknownModelError: 404,
    TooLargeError: 413,
    RequestError: 400,
}
"""Class of an error -> status; the first class that fits counts."""


class HttpError(RequestError):
    """An error with a status of its own in HTTP."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.headers = status, headers


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, headers with names in lower case, and body; `content-length` is the server's to add."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = (JSON_TYPE,)

    def with_id(self, name: bytes) -> Reply:
        """Return the same with the request's id."""
        return Reply(self.status, self.body, (*self.headers, (REQUEST_ID, name)))

    def to_response(self) -> Response:
        """Return the same as Starlette's response."""
        response = Response(self.body, self.status)
        response.raw_headers[:0] = list(self.headers)
        return response


def header(headers: Headers, name: bytes) -> bytes:
    """Return the value of a request's header; empty where there is none."""
    for key, value in headers:
        if key == name:
            return value
    return b""


def error_reply(error: Exception, invalid: int = 422) -> Reply:
    """Return the answer to a request that failed with ``error``.

    Args:
        invalid: the status for an input that the model does not take.
    """
    if isinstance(error, HttpError):
        return _error_reply(error.status, str(error), error.headers)
    if isinstance(error, RequestError):
        return _error_reply(next(status for kind, status in STATUS.items() if isinstance(error, kind)), str(error))
    if isinstance(error, InvalidInputError):
        return _error_reply(invalid, str(error))
    if isinstance(error, OverloadedError):
        text = f"Overloaded: {error} Try again in {RETRY_AFTER_SECONDS} s."
        return _error_reply(503, text, {"Retry-After": str(RETRY_AFTER_SECONDS)})
    if isinstance(error, DeadlineError):
        return _error_reply(504, f"{error} Ask again, with a longer timeout, or less at a time.")
    return _error_reply(500, FAILED)


def to_json(document: Any) -> bytes:
    """Return ``document`` as JSON; arrays of numpy as lists, their numbers with as many digits as tell them apart."""
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def _error_reply(status: int, text: str, headers: Mapping[str, str] | None = None) -> Reply:
    text = text[:MAX_TEXT].encode("utf-8", "backslashreplace").decode()  # half of a surrogate pair has no UTF-8
    more = tuple((name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items())
    return Reply(status, to_json({"error": text}), (JSON_TYPE, *more))
