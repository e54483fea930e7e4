"""The status and the message of each error."""

from __future__ import annotations

from typing import NamedTuple

from grpc import StatusCode

from thresher.errors import InvalidInputError
from thresher.serving.core.errors import (
    FAILED,
    RETRY_AFTER_SECONDS,
    DeadlineError,
    OverloadedError,
    RequestError,
    UnknownModelError,
)
from thresher.serving.core.request_id import REQUEST_ID
from thresher.serving.monitoring.logs import log_failed

MAX_DETAIL_BYTES = 2000
"""The most bytes of a message: gRPC sends it in a header, up to three times as long, and clients accept 8 KB."""
STATUS = {
    InvalidInputError: StatusCode.INVALID_ARGUMENT,
    UnknownModelError: StatusCode.NOT_FOUND,
    RequestError: StatusCode.INVALID_ARGUMENT,
    OverloadedError: StatusCode.RESOURCE_EXHAUSTED,
    DeadlineError: StatusCode.DEADLINE_EXCEEDED,
}
"""Class of an error -> status; the first class that fits counts."""

REFUSED = (StatusCode.RESOURCE_EXHAUSTED, StatusCode.DEADLINE_EXCEEDED, StatusCode.UNAVAILABLE)
"""Statuses that are not the caller's fault."""


class CallError(Exception):
    """A call that fails before its method runs, with its status."""

    def __init__(self, status: StatusCode, text: str) -> None:
        super().__init__(text)
        self.status = status


class Refusal(NamedTuple):
    """How a failed call ends."""

    status: StatusCode
    details: str
    metadata: tuple[tuple[str, str], ...]
    """The trailing metadata."""

    @property
    def is_failed(self) -> bool:
        """Whether the call failed by no fault of its caller."""
        return self.status is StatusCode.INTERNAL or self.status in REFUSED


def refuse(error: Exception, request_id: str, seconds: float | None = None) -> Refusal:
    """Return how the call that failed with ``error`` ends, ``seconds`` after it came.

    The text of an unforeseen error is not sent to the caller.
    """
    status = _status(error)
    text = str(error)
    metadata: tuple[tuple[str, str], ...] = ((REQUEST_ID.decode(), request_id),)
    if status is StatusCode.INTERNAL:
        log_failed(request_id, "grpc", status.name, seconds, error)
        text = FAILED
    elif status in REFUSED:
        log_failed(request_id, "grpc", status.name, seconds)
    if isinstance(error, OverloadedError):
        text = f"Overloaded: {text} Try again in {RETRY_AFTER_SECONDS} s."
        metadata = (*metadata, ("retry-after", str(RETRY_AFTER_SECONDS)))
    return Refusal(status, _shorten(text), metadata)


def _status(error: Exception) -> StatusCode:
    if isinstance(error, CallError):
        return error.status
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), StatusCode.INTERNAL)


def _shorten(text: str) -> str:
    # A text from JSON can hold half a surrogate pair, which no header can.
    return text.encode("utf-8", "replace")[:MAX_DETAIL_BYTES].decode("utf-8", "ignore")
