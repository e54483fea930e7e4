"""What modules say, kept between runs by the hash of their content."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict
from functools import cache
from pathlib import Path

from thresher.code_fingerprint import source
from thresher.code_fingerprint.source import Source, read_source
from thresher.files import replacing_file

MAX_KEPT = 5000


class SourceCache:
    """Reads each module once for as long as it stays as it is; one that cannot be kept costs the reading alone."""

    def __init__(self, path: Path | None) -> None:
        """Take the JSON file to keep it in, if any."""
        self._path = path
        self._kept: dict[str, dict[str, object]] = _read(path) if path else {}
        self._used: set[str] = set()
        self._is_new = False

    def read(self, content: bytes, package: str, definition: str = "") -> Source:
        """Return what `read_source` does."""
        key = hashlib.sha256(b"\0".join([_reader(), package.encode(), definition.encode(), content])).hexdigest()
        if key not in self._kept:
            self._kept[key], self._is_new = asdict(read_source(content, package, definition)), True
        self._used.add(key)
        return Source(**self._kept[key])  # type: ignore[arg-type]

    def save(self) -> None:
        """Keep what was read; once that is much, keep what this process asked for and nothing else."""
        if self._path and self._is_new:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            kept = self._kept if len(self._kept) <= MAX_KEPT else {key: self._kept[key] for key in self._used}
            with replacing_file(self._path) as path:
                path.write_text(json.dumps(kept), encoding="utf-8")


@cache
def _reader() -> bytes:
    """Return what decides beside the content: Python's syntax trees, and how they are read."""
    return f"{sys.version_info}".encode() + Path(source.__file__).read_bytes()


def _read(path: Path) -> dict[str, dict[str, object]]:
    try:
        kept: dict[str, dict[str, object]] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return kept
