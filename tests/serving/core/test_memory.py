"""What was freed goes back to the system."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from thresher.serving.core import memory
from thresher.serving.core.memory import resident_bytes, trim_periodically, trimmer

BURST = """
import asyncio, sys
from thresher.serving.core.memory import trim_periodically, resident_bytes

async def work():
    first = resident_bytes()
    if sys.argv[1] == "give":
        task = asyncio.create_task(trim_periodically(0.05, 2**20))
        await asyncio.sleep(0)
    held = [b"x" * 60_000 for _ in range(3000)]  # smaller than what glibc takes from the system one by one
    top = held[-1]  # keeps what is below it from going back by itself
    print(resident_bytes() - first)
    del held
    for _ in range(200 if sys.argv[1] == "give" else 10):
        await asyncio.sleep(0.05)
        if resident_bytes() - first < 90_000_000:
            break
    print(resident_bytes() - first)

asyncio.run(work())
"""


def test_a_burst_is_given_back() -> None:
    def left(how: str) -> list[int]:
        done = subprocess.run(
            [sys.executable, "-c", BURST, how], capture_output=True, text=True, timeout=60, check=True
        )
        return [int(line) for line in done.stdout.split()]

    held, after = left("give")
    assert held > 170_000_000 and after < 90_000_000
    kept = left("keep")[1]
    assert kept > 90_000_000, "glibc gave it back by itself: this test shows nothing"


def test_it_looks_at_this_process_and_ends_when_told() -> None:
    assert resident_bytes() > 10_000_000 and trimmer() is not None

    async def work() -> None:
        task = asyncio.create_task(trim_periodically(0.001, 0))
        await asyncio.sleep(0.05)
        task.cancel()
        assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)

    asyncio.run(work())


def test_memory_is_returned_only_while_the_process_holds_much_more_than_at_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What the process holds at first, and at each look after it.
    held, trimmed = iter([1000, 900, 1500, 1501, 2000, 1500]), []
    looks: list[int] = []

    def look() -> int:
        looks.append(next(held))
        return looks[-1]

    monkeypatch.setattr(memory, "resident_bytes", look)
    monkeypatch.setattr(memory, "trimmer", lambda: lambda padding: trimmed.append((looks[-1], padding)))
    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(trim_periodically(0.0, 500))
    assert trimmed == [(1501, 0), (2000, 0)]


def test_where_the_c_library_cannot_return_memory_nothing_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "trimmer", lambda: None)
    asyncio.run(asyncio.wait_for(trim_periodically(3600), 10))
