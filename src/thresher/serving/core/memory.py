"""Returns freed memory to the system: glibc keeps it, and after a burst of large requests that is a lot."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

MUCH_BYTES = 32 * 2**20
LOOK_SECONDS = 5.0
STATM = Path("/proc/self/statm")


async def trim_periodically(seconds: float = LOOK_SECONDS, much: int = MUCH_BYTES) -> None:
    """Check every few ``seconds``, until cancelled; where the process holds ``much`` more bytes than at first, return
    its free memory to the system, in a thread."""
    trim, first = trimmer(), resident_bytes()
    while trim is not None:
        await asyncio.sleep(seconds)
        if resident_bytes() > first + much:
            await asyncio.to_thread(trim, 0)


def resident_bytes() -> int:
    """Return the memory that this process holds; 0 where the system does not say."""
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


@cache
def trimmer() -> Callable[[int], int] | None:
    """Return glibc's malloc_trim; None where the C library is another one."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
