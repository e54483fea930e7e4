"""The service's own log: one JSON object a line, with request ids and never with what was sent."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from time import monotonic
from typing import Any, TextIO

ACCESS_LOG = "THRESHER_ACCESS_LOG"
LOGGER = "thresher"
FIELDS = ("request_id", "protocol", "status", "milliseconds", "port", "recipe", "model_version", "num_left_out")
"""The fields of a line besides time, level and event. None of them is a payload."""

MAX_FAILED_A_SECOND = 10
"""The most failed requests that a worker logs in a second: writing a line costs more than refusing a request."""

_logger = logging.getLogger(f"{LOGGER}.serving")


class JsonFormatter(logging.Formatter):
    """One line a record: time, level, event, the record's fields, and a traceback for an error."""

    def format(self, record: logging.LogRecord) -> str:
        """Return ``record`` as JSON."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            # Not the error's own text, in which a library may have put what it could not read.
            kind, _, trace = record.exc_info
            line["error"] = kind.__name__ if kind else ""
            line["traceback"] = _places(trace)
        return json.dumps(line)


def configure_logs(stream: TextIO | None = None) -> None:
    """Write the service's log as JSON to ``stream``, by default standard error, and nowhere else."""
    logger = logging.getLogger(LOGGER)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)


def wants_access_log() -> bool:
    """Return whether every request is to be logged."""
    return os.environ.get(ACCESS_LOG, "") not in ("", "0")


def log_event(event: str, **fields: Any) -> None:
    """Log an event."""
    _logger.info(event, extra=fields)


def log_warning(event: str, **fields: Any) -> None:
    """Log a warning: something that the service was asked for and does not do."""
    _logger.warning(event, extra=fields)


def log_request(request_id: str, protocol: str, status: int | str, seconds: float) -> None:
    """Log a request that ended with ``status`` after ``seconds``."""
    _logger.info("request", extra=_about(request_id, protocol, status, seconds))


def log_failed(
    request_id: str, protocol: str, status: int | str, seconds: float | None, error: BaseException | None = None
) -> None:
    """Log a request that was refused or, with ``error``, one that failed, with the places in the code.

    Of each kind no more than MAX_FAILED_A_SECOND are logged; the next line says how many were left out.
    """
    level = logging.ERROR if error else logging.WARNING
    num_left_out = _limits[level].take()
    if num_left_out is None:
        return
    fields = _about(request_id, protocol, status, seconds)
    if num_left_out:
        fields["num_left_out"] = num_left_out
    _logger.log(level, "request", extra=fields, exc_info=error)


class RateLimit:
    """Limits the lines that are logged in a second."""

    def __init__(self) -> None:
        self._second, self._num_taken, self._num_left_out = 0, 0, 0

    def take(self) -> int | None:
        """Return how many were left out since the last line; None where this one is to be left out."""
        second = int(monotonic())
        if second != self._second:
            self._second, self._num_taken = second, 0
        if self._num_taken >= MAX_FAILED_A_SECOND:
            self._num_left_out += 1
            return None
        self._num_taken += 1
        left_out, self._num_left_out = self._num_left_out, 0
        return left_out


_limits = {logging.WARNING: RateLimit(), logging.ERROR: RateLimit()}


def _about(request_id: str, protocol: str, status: int | str, seconds: float | None) -> dict[str, Any]:
    fields: dict[str, Any] = {"request_id": request_id, "protocol": protocol, "status": status}
    if seconds is not None:
        fields["milliseconds"] = round(1000 * seconds, 3)
    return fields


def _places(trace: Any) -> list[str]:
    places = []
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_qualname}")
        trace = trace.tb_next
    return places
