"""What can be freed, one piece at a time."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from thresher.errors import ThresherError

SHORT_ID = 8


class CleaningError(ThresherError):
    """What cannot be looked at, or not be freed."""


class Kind(StrEnum):
    """What an item is, in the words of the table."""

    OUTPUTS = "outputs of"
    FILES = "files of no record:"
    RUN = "MLflow run"
    BENTO = "Bento"
    MODEL = "BentoML model"


@dataclass(frozen=True)
class Item:
    """One thing that is freed whole or not at all.

    Attributes:
        used: when something that stays as long last took from it; nothing is taken from under what is younger.
        kept: why it is never freed; nothing where it may be.
    """

    recipe: str
    kind: Kind
    name: str
    made: datetime
    size: int
    free: Callable[[], None] = field(repr=False, compare=False)
    used: datetime
    kept: str = ""


def size_of(paths: Iterable[Path]) -> int:
    """Return how many bytes the files at and below ``paths`` hold; what is not there holds none."""
    return sum(file.lstat().st_size for path in paths for file in files_at(path))


def files_at(path: Path) -> Iterator[Path]:
    """Yield the files at and below ``path``; links are not followed."""
    if path.is_dir() and not path.is_symlink():
        yield from (file for file in sorted(path.rglob("*")) if file.is_symlink() or not file.is_dir())
    elif path.is_symlink() or path.exists():
        yield path


def delete(path: Path, top: Path) -> None:
    """Delete the file or folder at ``path``, and the folders above it that this leaves empty, up to ``top``."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    for folder in path.parents:
        if folder == top or not folder.is_relative_to(top):
            return
        with suppress(OSError):  # not empty, or another one was faster
            folder.rmdir()
