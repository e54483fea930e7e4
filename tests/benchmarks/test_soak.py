"""The soak finds nothing in a few seconds, and would say so if it did."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import soak  # noqa: E402


def free_port() -> int:
    """Return a port that is free with the two above it."""
    for port in range(24000, 30000, 3):
        try:
            for above in range(3):
                with socket.socket() as one:
                    one.bind(("127.0.0.1", port + above))
            return port
        except OSError:
            continue
    raise AssertionError("no port is free")


@pytest.mark.slow
@pytest.mark.end_to_end
@pytest.mark.oddity("Service", "Mixed clients on all ports, some hang up or send in pieces", "none lost or mixed up")
def test_seconds_of_it() -> None:
    command = [sys.executable, str(BENCHMARKS / "soak.py"), "--minutes", "0.15", "--port", str(free_port())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^\| (.+) \| ([\d,]+) \| ([\d,]+) \| [\d,]+ \| 0 \| 0 \|$", done.stdout, re.MULTILINE)
    assert {name for name, *_ in rows} == {"REST", "v2 JSON", "v2 binary", "in pieces", "gRPC", "gRPC, given up"}
    assert all(own != "0" for name, own, _ in rows if name != "gRPC, given up")


def test_what_is_wrong_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    expected = np.random.default_rng(1).random((9, 3)).astype(np.float32)
    one = soak.Soak(np.zeros((9, 1)), expected, 0, memory=[(second, 10**8) for second in range(9)])
    sent = slice(2, 4)
    assert one.judge(sent, expected[sent] + 1e-7) == "own"
    assert one.judge(sent, expected[1:3]) == one.judge(sent, expected[2:5]) == "mixed up"
    for ends, is_well in ((Counter(own=3), True), (Counter(own=3, lost=1), False), (Counter({"mixed up": 1}), False)):
        one.ends = {"a": ends}
        assert soak.report(one) is is_well
    one.ends, one.memory = {"a": Counter(own=3)}, [(second, 10**8 * (1 + second)) for second in range(9)]
    assert not soak.report(one)
    assert "| a | 3 | 0 | 0 | 0 | 0 |" in capsys.readouterr().out
