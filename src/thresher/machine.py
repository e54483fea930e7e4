"""This machine and this checkout in words, for every figure that is measured on them."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from functools import cache
from pathlib import Path

from thresher.errors import DataError

VNNI_FLAGS = {"avx512_vnni", "avx_vnni"}


def describe_machine() -> dict[str, str]:
    """Return processor, usable cores, integer instructions and system."""
    return {
        "processor": processor_name(),
        "cores": str(usable_cores()),
        "vnni": "yes" if VNNI_FLAGS & processor_flags() else "no",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def processor_name() -> str:
    """Return the processor's own name, where the system tells it."""
    names = [line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def processor_flags() -> set[str]:
    """Return the instruction sets that Linux lists; empty elsewhere."""
    return next((set(line.split()) for line in _cpuinfo() if line.startswith("flags")), set())


def usable_cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory(system: Path = Path("/")) -> int:
    """Return the bytes that this process may take without pushing anything out to disk, within its container's limit.

    Args:
        system: where `proc` and `sys` are.
    """
    meminfo, group = system / "proc/meminfo", system / "sys/fs/cgroup"
    if meminfo.exists():
        lines = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024
    else:
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    try:
        limit, taken = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        of_files = re.findall(r"^(?:in)?active_file (\d+)", (group / "memory.stat").read_text(), re.MULTILINE)
    except (OSError, ValueError):  # no container, or no limit: "max"
        return free
    return min(free, limit - taken + sum(map(int, of_files)))  # what is kept of files is given back when asked for


def require_memory(num_bytes: int, what: str, fix: str) -> None:
    """Check that ``num_bytes`` are free, before the system would end this process without a word for taking them.

    Raises:
        DataError: they are not.
    """
    if num_bytes > (free := free_memory()):
        sizes = f"{num_bytes / 1e9:,.1f} GB of memory, and {max(free, 0) / 1e9:,.1f} GB are free"
        raise DataError(f"{what} need {sizes}. Fix: {fix}")


def git_commit(project: Path) -> str:
    """Return the commit that is checked out, with -dirty for changes on top; "none" outside of git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "none"
    return done.stdout.strip() if done.returncode == 0 else "none"


@cache
def _cpuinfo() -> tuple[str, ...]:
    path = Path("/proc/cpuinfo")
    return tuple(path.read_text(encoding="utf-8").splitlines()) if path.exists() else ()
