"""Why a request gets no prediction, in the words of no protocol; each port says it in its own."""

from __future__ import annotations

from thresher.errors import InvalidInputError, ThresherError

RETRY_AFTER_SECONDS = 1
"""What a client of an overloaded service is told to wait."""
FAILED = "The service failed; its log says why."
"""What a client is told of an error that nobody foresaw."""


class RequestError(ThresherError):
    """A request that cannot be answered as it is; its text says what would be."""


class MalformedError(RequestError):
    """What was sent is no request: no JSON, an unknown key, a length that is none."""


class TooLargeError(RequestError):
    """A request with more samples, or that needs more memory, than there will ever be room for."""


class UnknownModelError(RequestError):
    """A model or a version that is not served here."""


class DisconnectedError(RequestError):
    """The client left; nobody reads the answer."""


class OverloadedError(Exception):
    """More samples wait than the batcher takes in, or longer than the request may take, or too much is in flight."""


class DeadlineError(Exception):
    """A request whose time was up before its turn came."""


def outcome_of(error: Exception) -> str:
    """Return what the metrics call a request that ended with ``error``."""
    if isinstance(error, OverloadedError):
        return "overloaded"
    if isinstance(error, DeadlineError):
        return "deadline"
    if isinstance(error, DisconnectedError):
        return "cancelled"
    return "invalid" if isinstance(error, (InvalidInputError, RequestError)) else "error"
