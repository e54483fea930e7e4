"""One run of a recipe at a time, across processes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from thresher.caching.lock import AlreadyRunningError, RecipeLock
from thresher.errors import ThresherError
from thresher.events import Event, Step

HOLD = """
import sys
from pathlib import Path
from thresher.caching.lock import RecipeLock
lock = RecipeLock(Path(sys.argv[1]), sys.argv[2])
lock.acquire("wait")
print("holding", flush=True)
sys.stdin.readline()
lock.release()
print("released", flush=True)
sys.stdin.readline()
"""
TIMEOUT_S = 60
Hold = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Hold]:
    """Start a process that holds the lock of a recipe until it gets a line."""
    processes: list[subprocess.Popen[str]] = []

    def start(recipe: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLD, str(tmp_path), recipe]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None and process.stdout.readline() == "holding\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate(timeout=TIMEOUT_S)


def test_a_free_lock_is_taken_at_once_again_and_again(tmp_path: Path) -> None:
    for _ in range(2):
        lock = RecipeLock(tmp_path, "small")
        lock.acquire("fail")
        lock.release()


def test_a_second_run_fails_with_who_holds_it_where_that_is_asked_for(tmp_path: Path, hold: Hold) -> None:
    process = hold("small")
    with pytest.raises(AlreadyRunningError) as caught:
        RecipeLock(tmp_path, "small").acquire("fail")
    assert isinstance(caught.value, ThresherError)
    assert str(caught.value).startswith(f"Recipe small is being run by process {process.pid} on ")
    assert "leave out --if-running fail" in str(caught.value)


def test_another_recipe_is_free(tmp_path: Path, hold: Hold) -> None:
    hold("small")
    lock = RecipeLock(tmp_path, "digits")
    lock.acquire("fail")
    lock.release()


@pytest.mark.parametrize("content", [None, "", "{"])
def test_who_holds_it_may_not_be_known_yet(tmp_path: Path, hold: Hold, content: str | None) -> None:
    hold("small")
    (holder,) = (tmp_path / ".thresher").rglob("small.json")
    if content is None:
        holder.unlink()
    else:
        holder.write_text(content)
    with pytest.raises(AlreadyRunningError, match="is being run by another process"):
        RecipeLock(tmp_path, "small").acquire("fail")


def test_a_second_run_waits_and_says_for_whom(tmp_path: Path, hold: Hold, events: list[Event]) -> None:
    process = hold("small")
    lock = RecipeLock(tmp_path, "small")
    waiting = threading.Thread(target=lock.acquire, args=["wait"])
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    waiting.join(TIMEOUT_S)
    assert not waiting.is_alive()
    assert process.stdout.readline() == "released\n"
    assert process.poll() is None, "it let go of the lock, and goes on"
    (said,) = (event.text for event in events if isinstance(event, Step))
    assert said.startswith(f"waiting: small is being run by process {process.pid} on ")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_process_that_is_killed_is_free(tmp_path: Path, hold: Hold, number: signal.Signals) -> None:
    process = hold("small")
    process.send_signal(number)
    process.wait(TIMEOUT_S)
    lock = RecipeLock(tmp_path, "small")
    lock.acquire("fail")
    lock.release()
