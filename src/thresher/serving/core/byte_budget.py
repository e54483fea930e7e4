"""One budget for the bytes of all requests in flight in a worker process, over all ports: what one client sends must
not take the memory of all others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import psutil

from thresher.serving.core.cpu import CGROUP, read_count
from thresher.serving.core.errors import OverloadedError, TooLargeError

IN_FLIGHT = "THRESHER_IN_FLIGHT_MIB"
"""The variable that sets the budget of each worker process, in MiB."""
MIB = 2**20
SHARE = 16
"""The workers' budgets together are this part of the memory: bytes become several times as many while they are
decoded, and the processes and the model need most of what a small container has."""
DECODED_SHARE = 3
"""Times the budget: what one document may take while it is decoded."""
MAX_BYTES = 256 * MIB
"""The most, however much memory there is."""
MIN_BYTES = MIB
OWN_GROUP = Path("/proc/self/cgroup")
LIMITS = ("memory.max", "memory.limit_in_bytes")
"""The file with the limit of a control group of version 2, and of version 1."""


class ByteBudget:
    """Counts the bytes in flight: bodies while they arrive, what they are decoded to, and answers not yet sent.

    Whoever is about to hold bytes reserves them first and releases them when they are gone; a reservation that does not
    fit is refused at once, never waited for. It may be used from any thread.
    """

    def __init__(self, limit: int) -> None:
        """Allow ``limit`` bytes at a time."""
        self.limit = limit
        self.used = 0
        self.peak = 0
        """The most bytes that were ever used at a time."""
        self.released = 0
        """The sum of all bytes that were released."""
        self._lock = Lock()

    def reserve(self, num_bytes: int) -> bool:
        """Reserve ``num_bytes`` where as many are left, and return whether they were."""
        with self._lock:
            if self.used + num_bytes > self.limit:
                return False
            self.used += num_bytes
            self.peak = max(self.peak, self.used)
            return True

    def release(self, num_bytes: int) -> None:
        """Release ``num_bytes`` that were reserved."""
        with self._lock:
            self.used -= num_bytes
            self.released += num_bytes

    @contextmanager
    def reserved(self, num_bytes: int) -> Iterator[None]:
        """Reserve ``num_bytes`` for as long as the block runs.

        Raises:
            OverloadedError: other requests hold too many.
            TooLargeError: the budget is smaller.
        """
        if not self.reserve(num_bytes):
            raise self.refusal(num_bytes)
        try:
            yield
        finally:
            self.release(num_bytes)

    def check_decoded(self, num_bytes: int) -> None:
        """Check that one document may take ``num_bytes`` while it is decoded; large ones are, one after another.

        Raises:
            TooLargeError: it would take more.
        """
        most = DECODED_SHARE * self.limit
        if num_bytes > most:
            text = f"The JSON would take up to {_mib(num_bytes)} of memory; this service decodes at most {_mib(most)}"
            raise TooLargeError(f"{text} at a time. Send less, or in binary.")

    def refusal(self, num_bytes: int) -> Exception:
        """Return the error of a request that needs ``num_bytes`` in all: too large for ever, or only now."""
        if num_bytes > self.limit:
            text = (
                f"The request needs {_mib(num_bytes)} of memory; this service has {_mib(self.limit)} for all requests"
            )
            return TooLargeError(f"{text} in flight. Send less at a time.")
        return OverloadedError(f"The requests in flight hold {_mib(self.used)}, of at most {_mib(self.limit)}.")


def budget_bytes(workers: int = 1, cgroup: Path = CGROUP, own_group: Path = OWN_GROUP) -> int:
    """Return the budget of each of ``workers`` processes: a share of the memory that the control group leaves them.

    The variable THRESHER_IN_FLIGHT_MIB comes before it.

    Raises:
        ValueError: the variable holds something else than a number of MiB.
    """
    if given := read_count(IN_FLIGHT, "MiB"):
        return given * MIB
    return max(MIN_BYTES, min(MAX_BYTES, available_bytes(cgroup, own_group) // SHARE // workers))


def available_bytes(cgroup: Path = CGROUP, own_group: Path = OWN_GROUP) -> int:
    """Return the memory that the machine has, or that this process's control groups, version 2 or 1, allow it."""
    limits = [_limit(folder / name) for folder in _groups(cgroup, own_group) for name in LIMITS]
    total: int = psutil.virtual_memory().total
    return min([total, *(limit for limit in limits if limit)])


def _groups(cgroup: Path, own_group: Path) -> list[Path]:
    """Return the folders of this process's control groups and of all around them."""
    try:
        lines = own_group.read_text().splitlines()
    except OSError:
        lines = []
    folders = {cgroup, cgroup / "memory"}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            root = cgroup / controllers
            folder = root / path.lstrip("/")
            folders |= {one for one in (folder, *folder.parents) if one.is_relative_to(root)}
    return sorted(folders)


def _limit(file: Path) -> int | None:
    """Return the limit in ``file``; None where there is none."""
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _mib(num_bytes: int) -> str:
    return f"{num_bytes / MIB:,.1f} MiB"
