"""The arguments of a reader as a catalog entry gives them: one typed model a reader, and what its fields may be.

Types are strict: text is never taken for a list, for true or false, or for a number. Each field has a docstring, of
which the page docs/readers.md is made. `option_errors.py` puts what is wrong into words.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt, MaxLen, MinLen
from pydantic import AfterValidator, ConfigDict

from thresher.config import Config


@dataclass(frozen=True)
class Says:
    """What a type allows, in words: part of its annotation, shown where something else was given."""

    words: str


class RefusedError(ValueError):
    """Raised by a validator of a model: what is wrong with the value, and what to write."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what, fix)
        self.what, self.fix = what, fix


def _only_once(names: list[str]) -> list[str]:
    repeated = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if repeated is not None:
        raise RefusedError(f"'{repeated}' appears twice", "Name each only once.")
    return names


def _each_file_once(names: list[str]) -> list[str]:
    places = [os.path.normpath(name) for name in names]
    for number, (name, place) in enumerate(zip(names, places, strict=True)):
        if place in places[:number]:
            former = names[places.index(place)]
            what = f"'{name}' appears twice" if name == former else f"'{former}' and '{name}' are one file"
            raise RefusedError(what, "Name each only once.")
    return names


def _on_one_line(text: str) -> str:
    if not text.isprintable():
        raise RefusedError(f"{text!r} given", "Fix: a name without control characters.")
    return text


def _no_end_of_line(character: str) -> str:
    if character in '\r\n\0"':
        raise RefusedError(f"{character!r} given", "It quotes values or ends lines. Fix: write it like , or ; or \\t.")
    return character


def _known_encoding(encoding: str) -> str:
    try:
        "a".encode(encoding)
    except (LookupError, ValueError):
        raise RefusedError(f"'{encoding}' is unknown", "Fix: write it like utf-8 or latin-1.") from None
    return encoding


Text = Annotated[str, MinLen(1), Says("text")]
Column = Annotated[str, MinLen(1), Says("the name of a column")]
Columns = Annotated[list[Column], MinLen(1), AfterValidator(_only_once), Says("a list of columns, each once")]
File = Annotated[str, MinLen(1), AfterValidator(_on_one_line), Says("the name of a file")]
Folder = Annotated[str, MinLen(1), AfterValidator(_on_one_line), Says("the path of a folder")]
Files = Annotated[list[File], MinLen(1), AfterValidator(_each_file_once), Says("a list of files, each once")]
Codes = Annotated[list[str | int], Says("a list of texts and whole numbers")]
Character = Annotated[
    str, MinLen(1), MaxLen(1), AfterValidator(_no_end_of_line), Says('exactly one character, "\\t" for tabs')
]
Encoding = Annotated[str, AfterValidator(_known_encoding), Says("the name of an encoding, such as utf-8 or latin-1")]
Size = Annotated[list[Annotated[int, Gt(0)]], MinLen(2), MaxLen(2), Says("[height, width], two whole numbers from 1")]
Limit = Annotated[int, Ge(1), Says("a whole number from 1")]
Seed = Annotated[int, Ge(0), Says("a whole number from 0")]
Share = Annotated[float, Gt(0), Lt(1), Says("a number between 0 and 1, such as 0.2")]


class ReaderOptions(Config):
    """What every reader takes. A reader's own model inherits from it, and from the sections it shares with others."""

    model_config = ConfigDict(strict=True)

    path: Folder = "."
    """The folder of the files; a relative path begins at the project's folder."""
    fetch: Text | None = None
    """The name by which `thresher fetch` knows this data; shown where a file is missing."""
    metadata: Any = None
    """Ignored here; plugins of Kedro read it."""

    def find_files(self) -> tuple[Path, ...]:
        """Return the files and folders that are read."""
        return (Path(self.path),)

    def image_size(self) -> tuple[int, int] | None:
        """Return height and width of the images, None where only reading them tells, or there are none.

        Raises:
            OSError, ValueError, KeyError, struct.error, zipfile.BadZipFile: a file that cannot be read.
        """
        return None

    def below_path(self, names: Sequence[str]) -> tuple[Path, ...]:
        """Return the files ``names``, which are relative to `path`."""
        return tuple(Path(self.path) / name for name in names)


class FileOptions(ReaderOptions):
    """Options of a reader of one file."""

    file: File
    """Relative to `path`."""

    def find_files(self) -> tuple[Path, ...]:
        """Return the file."""
        return self.below_path([self.file])
