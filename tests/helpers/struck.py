"""A run that is to end in the middle of a write into MLflow's database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

from thresher.interruption import TerminatedError, interruption


@contextmanager
def terminated_at(beginning: str) -> Iterator[None]:
    """Do what SIGTERM does before each statement of SQL that begins so."""

    def strike(connection: Any, cursor: Any, statement: str, *given: Any) -> None:
        if statement.startswith(beginning):
            interruption.stop(TerminatedError())

    event.listen(Engine, "before_cursor_execute", strike)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", strike)
