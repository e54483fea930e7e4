"""Files as streams of bytes in UTF-8: decompressed and decoded as they are read."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from thresher.errors import DataError
from thresher.files import cannot_be_read
from thresher.readers.frame.files import CODECS

MARK = codecs.BOM_UTF8
CHUNK = 2**20


@dataclass(frozen=True)
class Stream:
    """An open file.

    Attributes:
        file: its text in UTF-8, without a byte order mark; bytes that are none of its encoding stay, and are no UTF-8.
        raw: the file itself, for `tell`.
    """

    file: IO[bytes]
    raw: IO[bytes]

    def tell(self) -> int:
        """Return how many bytes of the file itself have been read."""
        return self.raw.tell()


@contextmanager
def open_binary(path: Path, encoding: str) -> Iterator[Stream]:
    """Give the file at ``path`` as a stream.

    Raises:
        DataError: it cannot be read, or is damaged as what its suffix says it is compressed by.
    """
    import pyarrow as pa

    codec = CODECS.get(path.suffix.lower())
    try:
        with path.open("rb") as raw:
            whole: Any = pa.CompressedInputStream(pa.PythonFile(raw, "r"), codec) if codec else raw
            yield Stream(io.BufferedReader(_Utf8(whole, encoding), CHUNK), raw)
    except UnicodeError as error:
        fix = f"name the file's encoding in the catalog; it was read as {encoding}"
        raise DataError(f"{path}: not text of that encoding ({error}). Fix: {fix}.") from error
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file. Fix: correct --in.") from error
    except OSError as error:
        if codec and error.errno is None:
            raise DataError(f"{path}: damaged as {codec} ({error}). Fix: copy or compress the file again.") from error
        raise cannot_be_read(path, error) from error


class _Utf8(io.RawIOBase):
    """The text of a stream of bytes in UTF-8, whatever encoding it is in."""

    def __init__(self, source: Any, encoding: str) -> None:
        self._source, self._ready = source, b""
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="surrogateescape")
        self._is_first, self._is_done = True, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and not self._is_done:
            data = self._source.read(CHUNK)
            self._is_done = not data
            self._ready = self._decoder.decode(data, final=self._is_done).encode("utf-8", "surrogateescape")
            if self._is_first and self._ready:
                self._ready, self._is_first = self._ready.removeprefix(MARK), False
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size
