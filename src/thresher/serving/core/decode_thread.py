"""The thread that decodes large bodies."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TypeVar

from thresher.serving.core.errors import DeadlineError

LARGE_BODY_BYTES = 128 * 2**10

Decoded = TypeVar("Decoded")

# Large bodies are decoded one after another beside the event loop: health checks stay quick, and the many
# Python objects of a large JSON document exist once, not once a request.
_large_bodies = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decoding")


async def decode_in_thread(decode: Callable[[], Decoded], num_bytes: int, seconds: float | None = None) -> Decoded:
    """Return the result of ``decode``, which runs in a thread where the body of ``num_bytes`` is large.

    Raises:
        DeadlineError: so many bodies came before it that its turn did not come within ``seconds``.
    """
    if num_bytes < LARGE_BODY_BYTES:
        return decode()
    begin = perf_counter()

    def decode_in_time() -> Decoded:
        if seconds is not None and perf_counter() - begin > seconds:
            raise DeadlineError(f"The time was up after {seconds:g} s, before the body could be decoded.")
        try:
            return decode()
        except Exception as error:
            _forget_locals(error)
            raise

    return await asyncio.get_running_loop().run_in_executor(_large_bodies, decode_in_time)


def _forget_locals(error: BaseException | None) -> None:
    """Free the local variables in the traceback of ``error``: the next document is decoded before this is answered."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__
