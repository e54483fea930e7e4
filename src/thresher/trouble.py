"""Failures of the machine, of MLflow and of worker processes as a sentence with a fix, in place of a traceback."""

from __future__ import annotations

import errno
import os
import sqlite3
from concurrent.futures.process import BrokenProcessPool

from thresher.errors import ThresherError, find_mendable

FIXES = {
    errno.ENOSPC: "the disk is full. Fix: free some of it (thresher clean shows what runs have left), and run again",
    errno.EDQUOT: "your quota of the disk is used up. Fix: free some of it (thresher clean), and run again",
    errno.EFBIG: "a file may not be this large here. Fix: raise the limit (ulimit -f), and run again",
    errno.EROFS: "the file system is read-only. Fix: make it writable, or work in a copy of the project elsewhere",
    errno.EACCES: "permission denied. Fix: give yourself the right to read and write there",
    errno.EPERM: "permission denied. Fix: give yourself the right to read and write there",
    errno.EMFILE: "too many files are open. Fix: raise the limit (ulimit -n 4096), and run again",
    errno.ENFILE: "too many files are open on this machine. Fix: end programs that hold many, and run again",
    errno.EIO: "the disk cannot be written or read: it is full, at a limit, or damaged. Fix: check it, and run again",
    errno.ENOMEM: "the machine is out of memory. Fix: end other programs, or use a smaller batch size or model",
}
TEXTS = {os.strerror(number): number for number in FIXES}
"""How libraries that raise errors of their own speak of them: in the system's words."""
OF_SQLITE = {
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_READONLY: errno.EROFS,
}
"""SQLite's own codes of them."""
INTACT = "Earlier results are intact, and the next run reuses the steps that this one finished."


class MachineError(ThresherError):
    """A disk, a right or a limit of the machine that stands in the way."""


class WorkerError(ThresherError):
    """A worker process that ended without an error."""


def explain(error: BaseException | None) -> ThresherError | None:
    """Return what to say of ``error``: the error in the chain of its causes that the user can mend, or what the machine
    ran into in words; None where it is a bug.
    """
    if mendable := find_mendable(error):
        return mendable
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return next(filter(None, map(_translate, reversed(chain))), None)


def _translate(error: BaseException) -> ThresherError | None:
    if isinstance(error, BrokenProcessPool):
        what = "A worker process ended without an error, as when the system is out of memory and kills it"
        fix = "with fewer at once (--runner SequentialRunner), or a smaller batch size"
        return WorkerError(f"{what}. Run again, {fix}: finished steps are reused.")
    number = error.errno if isinstance(error, OSError) else _code_of_sqlite(error)
    if number not in FIXES and _is_of_a_library(error):
        number = next((code for text, code in TEXTS.items() if text in str(error)), None)
    if number in FIXES:
        place = _place(error)
        return MachineError(f"{place}{FIXES[number]}. {INTACT}")
    if type(error).__module__.startswith("mlflow.") and type(error).__name__.endswith("Exception"):
        where = os.environ.get("MLFLOW_TRACKING_URI", "its default place")
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        return MachineError(
            f"MLflow at {where}: {what}\nFix: see that it can be reached and written to, and run again. {INTACT}"
        )
    return None


def _code_of_sqlite(error: BaseException) -> int | None:
    """Return what SQLite ran into; None of another error. The lowest byte of its code is the kind, the rest details."""
    code = getattr(error, "sqlite_errorcode", None) if isinstance(error, sqlite3.Error) else None
    return None if code is None else OF_SQLITE.get(code & 0xFF)


def _is_of_a_library(error: BaseException) -> bool:
    """Return whether ``error`` is of a kind that wraps the system's: of a database, of safetensors, of a lock."""
    names = {f"{cls.__module__.partition('.')[0]}.{cls.__name__}" for cls in type(error).__mro__}
    return any(name.startswith(("sqlite3.", "sqlalchemy.", "safetensors", "mlflow.", "shutil.")) for name in names) or (
        isinstance(error, OSError | RuntimeError)
    )


def _place(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: "
    return f"{str(error).splitlines()[0]}: " if str(error) else ""
