"""The processor cores that this process may use, and the workers and threads that follow from them."""

from __future__ import annotations

import math
import os
from pathlib import Path

MAX_WORKERS = 8
"""The most workers that are started by default: each has its own copy of the model."""
WORKERS = "THRESHER_WORKERS"
CGROUP = Path("/sys/fs/cgroup")


def available_cores(cgroup: Path = CGROUP) -> int:
    """Return the cores that affinity and the container's CPU limit leave, at least 1; a part of one counts as one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = _limit(cgroup)
    return max(1, allowed if limit is None else min(allowed, math.ceil(limit)))


def num_workers(asked: int | None, threads: int) -> int:
    """Return how many worker processes to start, each of which runs the model with ``threads`` threads.

    Args:
        asked: what the recipe says, None for as many as the cores are enough for. The variable THRESHER_WORKERS of
            the machine that serves comes before it.

    Raises:
        ValueError: the variable holds something else than a number of workers.
    """
    return read_count(WORKERS, "workers") or asked or max(1, min(MAX_WORKERS, available_cores() // threads))


def read_count(variable: str, unit: str) -> int | None:
    """Return the whole number of ``unit`` that an environment variable holds; None where it is not set.

    Raises:
        ValueError: it holds something else, or less than 1.
    """
    given = os.environ.get(variable, "")
    if given and (not given.isdecimal() or not int(given)):
        raise ValueError(f"{variable} is '{given}'. Set it to a whole number of {unit}, 1 or more, or unset it.")
    return int(given) if given else None


def session_threads(measured: int, workers: int) -> int:
    """Return the threads of one session: those it was measured with, unless the workers' together exceed the cores."""
    return max(1, min(measured, available_cores() // workers))


def _limit(cgroup: Path) -> float | None:
    """Return the CPU limit of the control group, version 2 or 1; None where there is none."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    return int(quota) / int(period) if quota.lstrip("-").isdecimal() and int(quota) > 0 else None
