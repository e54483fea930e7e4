"""SIGINT and SIGTERM end a run as exceptions; while a transaction is written, they wait for its end.

Raised in the middle of one, they may leave a database locked by the very process that then wants to write into it how
the run ended, or be swallowed by a callback of the library.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class TerminatedError(BaseException):
    """SIGTERM, raised where the run happens to be."""


class Interruption:
    """What a signal's handler raises, at once or at the end of a block that must be whole; handlers run in the main
    thread alone."""

    def __init__(self) -> None:
        self._depth = 0
        self._waiting: BaseException | None = None

    def stop(self, error: BaseException) -> None:
        """Raise ``error``, within a block that must be whole at its end; a second one does not wait."""
        if self._depth and self._waiting is None:
            self._waiting = error
        else:
            self._waiting = None
            raise error

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let signals wait until the block has ended; it is to be short."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            waiting = self._waiting
            if waiting is not None and not self._depth:
                self._waiting = None
                raise waiting


interruption = Interruption()
"""That of the process."""
