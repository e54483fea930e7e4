"""The service's own log: one JSON object a line, with request ids and never with what was sent."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

ACCESS_LOG = "THRESHER_ACCESS_LOG"
LOGGER = "thresher"
FIELDS = ("request_id", "protocol", "status", "milliseconds", "port", "workers", "recipe", "model_version")
"""What a line may have besides time, level and event. A payload is none of them."""

_logger = logging.getLogger(f"{LOGGER}.serving")


class JsonFormatter(logging.Formatter):
    """One line a record: time, level, event, the fields that there are, and a traceback where something broke."""

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
    """Write what the service says to ``stream`` as JSON, by default standard error, and nowhere else."""
    logger = logging.getLogger(LOGGER)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)


def wants_access_log() -> bool:
    """Return whether every request is to be logged."""
    return os.environ.get(ACCESS_LOG, "") not in ("", "0")


def log_event(event: str, **fields: Any) -> None:
    """Log what the service does."""
    _logger.info(event, extra=fields)


def log_request(
    request_id: str, protocol: str, status: int | str, seconds: float = 0.0, error: BaseException | None = None
) -> None:
    """Log how a request ended; one that broke the service with where it did."""
    is_refused = isinstance(status, int) and status >= 500
    level = logging.ERROR if error else logging.WARNING if is_refused else logging.INFO
    fields: dict[str, Any] = {"request_id": request_id, "protocol": protocol, "status": status}
    if seconds:
        fields["milliseconds"] = round(1000 * seconds, 3)
    _logger.log(level, "request", extra=fields, exc_info=error)


def _places(trace: Any) -> list[str]:
    places = []
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_qualname}")
        trace = trace.tb_next
    return places
