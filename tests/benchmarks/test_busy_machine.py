"""The same pair of files, alone and beside two busy processes, gives intervals that both hold the idle ratio."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from thresher.evaluation import Measurement

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

QUIET = "THRESHER_QUIET_MACHINE"
NUM_TRIALS, NUM_HELD = 20, 19


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get(QUIET), reason=f"takes six minutes of a machine without other work: {QUIET}=1")
def test_intervals_of_a_busy_machine_hold_the_idle_ratio() -> None:
    from busy_machine import count_held, row, run_trials

    trials = run_trials(Measurement(batch_sizes=(1,), seconds=1.0), NUM_TRIALS, num_processes=2)
    for name, (idle, busy) in trials.items():
        assert count_held(idle, busy) >= NUM_HELD, row(name, idle, busy)
