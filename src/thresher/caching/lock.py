"""One run of a recipe at a time."""

from __future__ import annotations

import json
import os
import platform
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from thresher.caching.records import STATE_FOLDER
from thresher.errors import ThresherError
from thresher.events import Step, emit
from thresher.run_options import IfRunning


class AlreadyRunningError(ThresherError):
    """Another run of the same recipe goes on."""


class RecipeLock:
    """Held while a recipe runs; the system frees it when the process ends, however it ends."""

    def __init__(self, project: Path, recipe: str) -> None:
        folder = _folder(project)
        self._recipe, self._holder = recipe, folder / f"{recipe}.json"
        self._lock = FileLock(folder / f"{recipe}.lock")

    def acquire(self, if_running: IfRunning) -> None:
        """Take the lock, now or when the other run has ended.

        Raises:
            AlreadyRunningError: another run goes on, and ``if_running`` is "fail".
        """
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            if if_running == "fail":
                fix = "Wait for its end, or leave out --if-running fail: then this run waits."
                raise AlreadyRunningError(f"Recipe {self._recipe} is being run {self._who()}. {fix}") from None
            emit(Step(f"waiting: {self._recipe} is being run {self._who()}"))
            self._lock.acquire()
        holder = {"process": os.getpid(), "host": platform.node(), "since": f"{datetime.now():%H:%M:%S}"}
        self._holder.write_text(json.dumps(holder), encoding="utf-8")

    def release(self) -> None:
        """Let the next one in."""
        self._lock.release()

    def _who(self) -> str:
        try:
            holder = json.loads(self._holder.read_bytes())
        except (FileNotFoundError, ValueError):  # it has just begun
            return "by another process"
        return f"by process {holder['process']} on {holder['host']} since {holder['since']}"


def store_lock(project: Path) -> FileLock:
    """Return the lock that is held while MLflow's store is made: two runs that make it at once break it."""
    return FileLock(_folder(project) / "mlflow-store.lock")  # the - is in no recipe's name


def _folder(project: Path) -> Path:
    folder = project / STATE_FOLDER / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
