"""Ends requests that their clients do not finish, so that nobody holds a place for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

LOOKS = 6
"""How often one looks within the time that a client has."""


class Waiting(Protocol):
    """A connection that may wait for its client."""

    def end_slow(self, seconds: float) -> None:
        """End what the client began more than ``seconds`` ago and has not finished."""


async def watch(connections: Iterable[Waiting], seconds: float) -> None:
    """Give each client ``seconds`` for a request, and up to a sixth more, until cancelled.

    One look at all connections now and then costs a request nothing, as a timer of its own would.

    Args:
        connections: those that are open; may change meanwhile.
    """
    while True:
        await asyncio.sleep(seconds / LOOKS)
        for connection in list(connections):
            connection.end_slow(seconds)
