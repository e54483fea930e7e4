"""Workers and threads stay within the cores that the container leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from thresher.serving.core.cpu import MAX_WORKERS, WORKERS, available_cores, num_workers, session_threads

HERE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, HERE),
        ({"cpu.max": "max 100000"}, HERE),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "1 100000"}, 1),
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "150000 100000"}, min(HERE, 2)),
        ({"cpu.max": "99900000 100000"}, HERE),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, HERE),
        ({"cpu/cpu.cfs_quota_us": "20000", "cpu/cpu.cfs_period_us": "100000"}, 1),
    ],
)
def test_limits_of_the_control_group_count(tmp_path: Path, files: dict[str, str], cores: int) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_cores(tmp_path) == cores


def test_affinity_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)))
    assert available_cores(Path("/nowhere")) == 6
    monkeypatch.delenv(WORKERS, raising=False)
    monkeypatch.setattr("thresher.serving.core.cpu.available_cores", lambda: 6)
    assert [num_workers(None, threads) for threads in (1, 2, 4, 8)] == [6, 3, 1, 1]
    assert [session_threads(4, workers) for workers in (1, 2, 3, 4, 6, 9)] == [4, 3, 2, 1, 1, 1]


def test_the_machine_that_serves_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKERS, "5")
    assert num_workers(3, 1) == 5
    monkeypatch.setenv(WORKERS, "")
    assert num_workers(3, 1) == 3
    assert num_workers(None, 1) <= MAX_WORKERS
    for wrong in ("0", "-1", "many", "1.5"):
        monkeypatch.setenv(WORKERS, wrong)
        with pytest.raises(ValueError, match=r"THRESHER_WORKERS is '.*'. Set it to a whole number"):
            num_workers(3, 1)


def test_a_system_without_affinity_has_the_cores_that_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    for counted, cores in ((6, 6), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda counted=counted: counted)
        assert available_cores(Path("/nowhere")) == cores


def test_a_large_machine_starts_eight_workers_unless_more_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WORKERS, raising=False)
    monkeypatch.setattr("thresher.serving.core.cpu.available_cores", lambda: 64)
    assert [num_workers(asked, 1) for asked in (None, 20)] == [8, 20]
