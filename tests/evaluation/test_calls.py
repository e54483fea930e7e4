"""What calls waited for a processor is told from what they computed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest

from thresher.evaluation import calls
from thresher.evaluation.calls import CallTimes, StolenTime, interrupted_share, time_calls, waited_share

pinning = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux pins a process to a processor")


@pytest.fixture
def crowded() -> Iterator[None]:
    """One processor for this thread and two processes that want all of it."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()
        os.sched_setaffinity(0, allowed)


def compute(seconds: float) -> None:
    """Work for ``seconds`` of the thread's own time."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


@pinning
def test_beside_busy_processes_calls_wait_and_compute_as_long_as_ever(crowded: None) -> None:
    made = time_calls(lambda: compute(0.01), 30)
    assert made.computed == pytest.approx(0.01, rel=0.2)
    assert made.wall.sum() > 1.3 * made.computed.sum()
    assert made.interrupted.sum() > 10
    assert waited_share([made]) == pytest.approx(1 - made.computed.sum() / made.wall.sum())
    assert interrupted_share([made]) == made.interrupted.mean()
    assert len(made.alone) == 30 - made.interrupted.sum()


def test_waiting_for_something_else_is_no_computing() -> None:
    made = time_calls(lambda: time.sleep(0.002), 5)
    assert (made.wall > 0.002).all()
    assert made.computed.sum() < 0.005


def test_no_call_is_shorter_for_the_clocks_that_are_read() -> None:
    assert np.median(time_calls(lambda: None, 1000).computed) == pytest.approx(0, abs=2e-6)


def test_shares_are_over_all_turns() -> None:
    quiet = CallTimes(np.ones(4), np.ones(4), np.zeros(4, bool))
    busy = CallTimes(np.full(4, 3.0), np.ones(4), np.ones(4, bool))
    assert waited_share([quiet]) == 0
    assert waited_share([quiet, busy]) == pytest.approx(0.5)
    assert interrupted_share([quiet, busy]) == 0.5


def test_stolen_time_is_a_share_of_what_the_processors_were_to_do(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    stat = tmp_path / "stat"
    monkeypatch.setattr(calls, "_STAT", stat)
    assert StolenTime().share == 0  # a system without such a file
    stat.write_text("cpu  100 0 50 1000 10 0 0 5 0 0\ncpu0 1 2 3\n")
    stolen = StolenTime()
    assert stolen.share == 0
    stat.write_text("cpu  170 0 60 5000 10 0 0 25 0 0\ncpu0 1 2 3\n")
    assert stolen.share == pytest.approx(20 / 100)
