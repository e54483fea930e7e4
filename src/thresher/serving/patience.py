"""Ends requests that their clients do not finish, so that nobody holds a place for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

from starlette.exceptions import HTTPException

from thresher.serving.body import MAX_BODY_SECONDS

LOOKS = 6
"""How often one looks within the time that a client has."""


class Waiting(Protocol):
    """A connection that may wait for its client."""

    def end_slow(self, seconds: float) -> None:
        """End what the client began more than ``seconds`` ago and has not finished."""


def too_slow(seconds: float) -> HTTPException:
    """Return the refusal of a request that is not there after ``seconds``."""
    return HTTPException(408, f"The request took more than {seconds:g} s to arrive.")


async def watch(connections: Iterable[Waiting], seconds: float = MAX_BODY_SECONDS) -> None:
    """Give each client ``seconds`` for a request, and up to a sixth more, until cancelled.

    One look at all connections now and then costs a request nothing, as a timer of its own would.

    Args:
        connections: those that are open; may change meanwhile.
    """
    while True:
        await asyncio.sleep(seconds / LOOKS)
        for connection in list(connections):
            connection.end_slow(seconds)
