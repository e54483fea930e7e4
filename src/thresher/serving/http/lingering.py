"""Closes connections so that the last answer arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

LINGER_SECONDS = 10.0
"""How long one reads on what a client sends after its last answer."""


class LingeringTransport:
    """A transport whose `close` reads on for a while where the client still sends.

    A socket that is closed with bytes unread resets its connection, and a client in the middle of a large body then
    loses the answer that told it to stop. So the answer is followed by the end of our stream, and what comes is thrown
    away until the client ends its own.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, owes: Callable[[], bool]) -> None:
        """Stand for ``transport``.

        Args:
            owes: whether the client is in the middle of a request.
        """
        self._transport, self._loop, self._owes = transport, loop, owes
        self.is_lingering = False
        self.write = transport.write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Return whether nothing more is to be written."""
        return self.is_lingering or self._transport.is_closing()

    def close(self) -> None:
        """Send what has been written, and end."""
        if self.is_closing():
            return
        if not self._owes():
            self._transport.close()
            return
        self.is_lingering = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._transport.resume_reading()
        self._loop.call_later(LINGER_SECONDS, self._transport.close)
