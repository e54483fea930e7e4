"""The errors of requests, independent of any protocol; each port maps them to its own statuses."""

from __future__ import annotations

from thresher.errors import InvalidInputError, ThresherError

RETRY_AFTER_SECONDS = 1
"""After how long a client of an overloaded service is asked to try again."""
FAILED = "The service failed; its log says why."
"""The message of an unforeseen error."""


class RequestError(ThresherError):
    """A request that cannot be answered; its message says what is allowed."""


class MalformedError(RequestError):
    """A malformed request: malformed JSON, an unknown key, a wrong length."""


class TooLargeError(RequestError):
    """A request with more samples, or that needs more memory, than there will ever be room for."""


class UnknownModelError(RequestError):
    """A model or a version that is not served here."""


class DisconnectedError(RequestError):
    """The client has disconnected; nobody reads the answer."""


class OverloadedError(Exception):
    """Too many samples wait, or they would wait too long, or the requests in flight hold too many bytes."""


class DeadlineError(Exception):
    """A request whose time was up before its turn came."""


def outcome_of(error: Exception) -> str:
    """Return the metrics' name for the outcome of a request that ended with ``error``."""
    if isinstance(error, OverloadedError):
        return "overloaded"
    if isinstance(error, DeadlineError):
        return "deadline"
    if isinstance(error, DisconnectedError):
        return "cancelled"
    return "invalid" if isinstance(error, (InvalidInputError, RequestError)) else "error"
