"""Files: read with an error that says what to do; written beside and renamed, so that no reader sees half of one."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thresher.errors import DataError

SETTLED_S = 2
"""A file that was written within this time could be written again without its times telling."""
Stat = tuple[int, int, int, int]
"""Size, inode, times of modification and of change in ns: the last is the system's own, no program sets it back."""


def stat_of(path: Path) -> Stat:
    """Return what differs when the file at ``path`` was written, as git's index keeps it."""
    status = path.stat()
    return status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def is_settled(stat: Stat) -> bool:
    """Return whether whoever writes the file again would be told by its times."""
    return time.time() - max(stat[2:]) / 1e9 > SETTLED_S


def read_bytes(path: Path, fix: str) -> bytes:
    """Return the content of the file at ``path``; raises DataError where it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file. Fix: {fix}") from error
    except OSError as error:
        raise cannot_be_read(path, error) from error


def cannot_be_read(path: Path, error: OSError) -> DataError:
    """Return what is said of a file that is there."""
    return DataError(f"{path}: {error.strerror or error}. Fix: make it a readable file.")


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Give a path to write to; it takes the place of ``path`` if the block ends well, and is deleted if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield beside
        if path.is_dir():
            shutil.rmtree(path)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it takes the place of ``path`` if the block ends well, and is deleted if not."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
        # A folder cannot be renamed over a file, nor over another folder that is not empty.
        if path.is_file():
            path.unlink()
        shutil.rmtree(path, ignore_errors=True)
        beside.replace(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
