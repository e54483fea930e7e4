"""Files of columns, of one sample a line, and of pictures, piece by piece."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from thresher.errors import DataError, InvalidInputError
from thresher.prediction.piece import PIECE_BYTES, Columns, Content, Items, Piece
from thresher.prediction.streams import open_binary
from thresher.readers.frame.names import check_names
from thresher.readers.frame.values import decode
from thresher.readers.image_folder import OF_FILE_MANAGERS, SUFFIXES

Line = tuple[int, bytes]
FIRST_ROWS = 1000
"""Samples that are looked at before any is answered."""


class ParquetSource:
    """The rows of a Parquet file; ``names`` stand in place of those in it."""

    def __init__(self, path: Path, names: list[str] | None) -> None:
        self.path = path
        with _open_parquet(path) as file:
            found = [field.name for field in file.schema_arrow]
            self._index = set() if names else set(_pandas_index(file.schema_arrow))
            if not file.metadata.num_rows:
                raise DataError(f"{path}: holds no rows. Fix: name a file with rows.")
        if names is not None and len(names) != len(found):
            told = f"{len(found)} columns, but {len(names)} names in 'columns' of the catalog"
            raise DataError(f"{path}: {told}. Fix: one name a column: {', '.join(found)[:500]}.")
        self._names, self._are_own = names or found, names is None
        self._wanted: list[str] | None = None
        _refuse_repeated(path, self._names)

    @property
    def names(self) -> list[str]:
        """The columns' names, without what pandas calls its index."""
        return [name for name in self._names if name not in self._index]

    def only(self, wanted: Collection[str]) -> None:
        """Read no other columns than ``wanted``."""
        # pyarrow takes a name with a point for a field of a struct.
        if self._are_own and not any("." in name for name in self._names):
            self._wanted = self._names = [name for name in self._names if name in wanted]

    def pieces(self, max_rows: int) -> Iterator[Piece]:
        """Yield the rows, as `Source.pieces` says."""
        first, size = 0, self.path.stat().st_size
        with _open_parquet(self.path) as file:
            total = file.metadata.num_rows
            for number, batch in enumerate(file.iter_batches(max_rows, columns=self._wanted)):
                done = first + batch.num_rows
                yield Piece(number, first, batch.num_rows, partial(self._parse, batch, first), size * done // total)
                first = done

    def _parse(self, batch: Any, first: int) -> Content:
        read = batch.columns if self._wanted is None else [batch.column(name) for name in self._wanted]
        columns = {name: decode(column) for name, column in zip(self._names, read, strict=True)}
        found = Columns(columns, np.arange(batch.num_rows))
        return Content(found, lambda index: f"{self.path.name}:{first + index + 1}")


class LineSource:
    """A file of one sample a line; empty lines are none.

    Args:
        read: gives the items of some lines.
        head: lines before the first sample.
        comment: what begins a line that is no sample.
    """

    def __init__(
        self, path: Path, encoding: str, read: Callable[[list[bytes]], Items], head: int = 0, comment: bytes = b""
    ) -> None:
        self.path, self._encoding, self._read, self._head, self._comment = path, encoding, read, head, comment

    @property
    def names(self) -> list[str] | None:
        """None: there are no columns."""
        return None

    def pieces(self, max_rows: int) -> Iterator[Piece]:
        """Yield the lines, as `Source.pieces` says."""
        with open_binary(self.path, self._encoding) as stream:
            lines = (each for each in _lines(stream.file) if self._is_sample(*each))
            first = 0
            for number, part in enumerate(_cut(lines, max_rows)):
                yield Piece(number, first, len(part), partial(self._parse, part), stream.tell())
                first += len(part)

    def _is_sample(self, number: int, line: bytes) -> bool:
        return number > self._head and not (self._comment and line.startswith(self._comment))

    def _parse(self, part: list[Line]) -> Content:
        found = self._read([line for _, line in part])
        return Content(found, lambda index: f"{self.path.name}:{part[index][0]}")


class JsonSource(LineSource):
    """A file of one JSON object a line. Its columns are the keys of the first lines."""

    @property
    def names(self) -> list[str]:
        """The keys, each once."""
        first = next(iter(self.pieces(FIRST_ROWS)), None)
        found = first.parse().found if first else None
        values = found.values if isinstance(found, Items) else []
        return list(dict.fromkeys(key for value in values if isinstance(value, dict) for key in value))


class PictureSource:
    """The pictures in a folder and in all folders below it, by their paths.

    A picture's label is the name of the folder that it lies in, where that is one of the ``classes``.
    """

    names = None

    def __init__(self, folder: Path, classes: Iterable[str]) -> None:
        self.folder, self._classes = folder, set(classes)
        self._files = list(_find_files(folder))
        if not self._files:
            raise DataError(f"{folder}: holds no pictures. Fix: name a folder with PNG or JPEG files.")

    def pieces(self, max_rows: int) -> Iterator[Piece]:
        """Yield the pictures, as `Source.pieces` says."""
        for number, start in enumerate(range(0, len(self._files), max_rows)):
            part = self._files[start : start + max_rows]
            yield Piece(number, start, len(part), partial(self._parse, part), start + len(part))

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self._files)

    def _parse(self, files: list[Path]) -> Content:
        ids = [_in_unicode(path.relative_to(self.folder).as_posix()) for path in files]
        labels = [path.parent.name if path.parent.name in self._classes else None for path in files]
        items = Items([_Picture(path) for path in files], np.arange(len(files)), labels, ids)
        return Content(items, ids.__getitem__)


class _Picture:
    """A file that is read when its turn comes, so that no two are in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except OSError as error:
            raise InvalidInputError(f"The file cannot be read: {error.strerror or error}.") from error


def content_of(value: Any) -> Any:
    """Return ``value`` as the service would be sent it: the bytes of a picture's file, anything else as it is."""
    return value.read() if isinstance(value, _Picture) else value


def _find_files(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Yield what a person takes for pictures below ``folder``, by name; raises a DataError for a link that leads back.

    Args:
        above: the folders that it lies in.
    """
    if (here := folder.resolve()) in above:
        raise DataError(f"{folder}: a link to a folder that it lies in. Fix: remove the link.")
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name[0] == "." or entry.name.lower() in OF_FILE_MANAGERS:
            continue
        if entry.is_dir():
            yield from _find_files(entry, (*above, here))
        elif entry.suffix.lower() in SUFFIXES:
            yield entry


def _in_unicode(name: str) -> str:
    r"""Return the name of a file, with what is no UTF-8 in it as \\xff."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _lines(file: Any) -> Iterator[Line]:
    """Yield the lines of a stream that are not empty, without their ends, with their numbers from 1."""
    for number, line in enumerate(io.TextIOWrapper(file, "utf-8", errors="surrogateescape"), start=1):
        if text := line.rstrip("\n"):
            yield number, text.encode("utf-8", "surrogateescape")


def _cut(lines: Iterator[Line], max_rows: int) -> Iterator[list[Line]]:
    """Yield ``lines`` in lists of at most ``max_rows`` and, but for one line that is longer, PIECE_BYTES."""
    part: list[Line] = []
    size = 0
    for line in lines:
        if part and (len(part) == max_rows or size + len(line[1]) > PIECE_BYTES):
            yield part
            part, size = [], 0
        part.append(line)
        size += len(line[1])
    if part:
        yield part


def _pandas_index(schema: Any) -> tuple[str, ...]:
    from thresher.readers.frame.parquet import pandas_index

    return pandas_index(schema.empty_table())


def _refuse_repeated(path: Path, names: list[str]) -> None:
    import pyarrow as pa

    check_names(path, names, [pa.nulls(1)] * len(names), "name the columns in the file")


@contextmanager
def _open_parquet(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file. Fix: correct --in.") from error
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}). Fix: write or copy it again.") from error
