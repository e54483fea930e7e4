"""The content of files and folders as a hash, computed once for as long as they stay as they are."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from thresher.errors import DataError
from thresher.events import Step, emit
from thresher.files import Stat, is_settled, stat_of

LARGE_BYTES = 256_000_000
"""Files from this size on take long enough to hash that a message says so."""


class FileHashes:
    """SHA-256 of files and folders.

    A file's hash is kept with its size, inode and times of modification and change, as git's index does; it is read
    again when one of them differs.
    """

    def __init__(self, cache: Path) -> None:
        """Read what is known from the SQLite file ``cache``; one that cannot be read costs the hashing alone."""
        self._cache = cache
        self._known = _read(cache)
        self._new: dict[str, tuple[Stat, str]] = {}

    def of(self, path: Path) -> str | None:
        """Return the hash of a file, or of a folder with all names below it; None where there is neither.

        Names that begin with a dot do not count: they are what systems and editors leave behind.
        """
        if path.is_dir():
            names = hashlib.sha256()
            for file in _files(path):
                names.update(f"{file.relative_to(path).as_posix()}\0{self._of_file(file)}\n".encode())
            return names.hexdigest()
        return self._of_file(path) if path.is_file() else None

    def save(self) -> None:
        """Keep what was computed for later processes."""
        if not self._new:
            return
        rows = [(path, *stat, digest) for path, (stat, digest) in self._new.items()]
        self._cache.parent.mkdir(parents=True, exist_ok=True)
        # A file that cannot be written, or that was deleted as damaged meanwhile, costs the hashing alone, too.
        with (
            suppress(sqlite3.DatabaseError),
            closing(sqlite3.connect(self._cache, timeout=30)) as connection,
            connection,
        ):
            connection.execute(CREATE)
            connection.executemany("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._new.clear()

    def _of_file(self, path: Path) -> str:
        stat = stat_of(path)
        key = str(path.absolute())
        known = self._known.get(key)
        if known and known[0] == stat:
            return known[1]
        if (size := stat[0]) > LARGE_BYTES:
            emit(Step(f"reading {path.name}, {size / 1e9:.1f} GB, to see whether it changed"))
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"{path}: {error.strerror or error}. Fix: make it a readable file.") from error
        if is_settled(stat):
            self._known[key] = self._new[key] = (stat, digest)
        return digest


CREATE = """CREATE TABLE IF NOT EXISTS hashes (
    path TEXT PRIMARY KEY, size INTEGER, inode INTEGER, modified INTEGER, changed INTEGER, sha256 TEXT
)"""


def _read(cache: Path) -> dict[str, tuple[Stat, str]]:
    if not cache.exists():
        return {}
    try:
        with closing(sqlite3.connect(cache, timeout=30)) as connection:
            rows = connection.execute("SELECT path, size, inode, modified, changed, sha256 FROM hashes")
            return {path: ((size, inode, modified, changed), digest)
                    for path, size, inode, modified, changed, digest in rows}  # fmt: skip
    except sqlite3.OperationalError:  # another process has just made the file, and not yet the table in it
        return {}
    except sqlite3.DatabaseError:
        cache.unlink(missing_ok=True)
        return {}


def _files(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _files(entry)
        elif entry.is_file():
            yield entry
