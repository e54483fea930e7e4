"""The bytes, the text and the lines of a file, compressed or not, and what its name says of its format."""

from __future__ import annotations

from pathlib import Path

from thresher.errors import DataError
from thresher.files import read_bytes

CODECS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
"""Suffix -> the codec as pyarrow calls it."""
FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".parq": "parquet",
    ".jsonl": "json lines",
    ".ndjson": "json lines",
    ".json": "json",
    ".tsv": "tsv",
    ".tab": "tsv",
}
"""Suffix -> format; what has another one is read as CSV."""
UNREADABLE = {
    ".xlsx": "a spreadsheet",
    ".xls": "a spreadsheet",
    ".ods": "a spreadsheet",
    ".zip": "an archive of files",
    ".7z": "an archive of files",
    ".xz": "compressed by xz",
    ".feather": "an Arrow file",
    ".arrow": "an Arrow file",
    ".orc": "an ORC file",
    ".avro": "an Avro file",
    ".pkl": "a Python pickle",
    ".h5": "an HDF5 file",
}
READABLE = "CSV, Parquet or JSON Lines, plain or as .gz, .zst or .bz2"

HEAD, MIN_SHARE_OF_ZEROS = 4096, 0.6
"""Bytes of a text that are looked at, and the share of zeros in half of them from which it is in UTF-16."""
MAGIC = {
    b"\x1f\x8b": "compressed by gzip",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
    b"PK\x03\x04": "an archive or a spreadsheet (zip)",
    b"\xd0\xcf\x11\xe0": "a spreadsheet of old Excel",
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"\x89HDF": "an HDF5 file",
}
"""How files begin that are no text -> what they are."""


def format_of(path: Path) -> str:
    """Return "parquet", "json lines", "json", "tsv" or "csv", by the suffix in any case, before that of compression.

    Raises:
        DataError: a suffix of what is none of these.
    """
    name = Path(path.name.lower())
    if name.suffix in CODECS:
        name = name.with_suffix("")
    if name.suffix in UNREADABLE:
        raise DataError(f"{path}: {UNREADABLE[name.suffix]}, which is not read. Fix: save it as {READABLE}.")
    return FORMATS.get(name.suffix, "csv")


def read_content(path: Path, fix: str) -> bytes:
    """Return the content of the file at ``path``, decompressed by its suffix; raises DataError where it cannot be."""
    content = read_bytes(path, fix)
    codec = CODECS.get(path.suffix.lower())
    return content if codec is None else _decompress(path, content, codec)


def _decompress(path: Path, content: bytes, codec: str) -> bytes:
    import pyarrow as pa

    try:
        return bytes(pa.CompressedInputStream(pa.BufferReader(content), codec).read())
    except OSError as error:
        raise DataError(f"{path}: damaged as {codec} ({error}). Fix: copy or compress the file again.") from error


def read_text(path: Path, encoding: str, fix: str) -> str:
    """Return the text of the file at ``path``, without a byte order mark.

    Raises:
        DataError: no such file, an empty one, an encoding that does not exist, bytes that are none of it, with the
            line.
    """
    content = read_content(path, fix)
    if not content.strip(b"\xef\xbb\xbf \t\r\n"):
        raise DataError(f"{path}: the file is empty. Fix: {fix}")
    try:
        text = content.decode(encoding)
    except LookupError as error:
        raise DataError(f"encoding: '{encoding}' is unknown. Fix: write it like utf-8 or latin-1.") from error
    except UnicodeDecodeError as error:
        kind = next((told for start, told in MAGIC.items() if content.startswith(start)), "")
        if kind:
            raise DataError(f"{path}: {kind}, which its name does not say. Fix: name it as what it is.") from error
        line = content.count(b"\n", 0, error.start) + 1
        advice = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
        advice = "utf-32" if content[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff") else advice
        raise DataError(
            f"{path}:{line}: byte 0x{content[min(error.start, len(content) - 1)]:02x} is not {encoding}. "
            f"Fix: name the file's encoding in the catalog, such as 'encoding: {advice}'."
        ) from error
    except UnicodeError as error:
        raise DataError(f"{path}: not {encoding} ({error}). Fix: name the file's encoding in the catalog.") from error
    _refuse_other_encoding(path, content, text, encoding)
    return text.removeprefix("\ufeff")


def _refuse_other_encoding(path: Path, content: bytes, text: str, encoding: str) -> None:
    """Raise a DataError where ``text``, decoded from ``content``, shows that it was written in another encoding."""
    if b"\n" in content and "\n" not in text and "\r" not in text:  # two letters at a time were taken for one
        what = f"the whole file is one line in {encoding}, and has several in an encoding of one byte a character"
        raise DataError(f"{path}: {what}. Fix: write 'encoding: utf-8', or what it is, in the catalog.")
    if "\0" not in text:
        return
    if wide := _wide_encoding(content[:HEAD]):
        what = f"written in {wide} without a byte order mark, and not in {encoding}"
        raise DataError(f"{path}: the file seems to be {what}. Fix: write 'encoding: {wide}' in the catalog.")
    line = text.count("\n", 0, text.index("\0")) + 1
    raise DataError(f"{path}:{line}: a zero byte, which no text has. Fix: copy the file again, or remove such bytes.")


def _wide_encoding(head: bytes) -> str:
    """Return the encoding of two bytes a character that ``head`` is written in, or "": every other byte is 0 then."""
    zeros = [half.count(0) / max(len(half), 1) for half in (head[::2], head[1::2])]
    if max(zeros) < MIN_SHARE_OF_ZEROS or min(zeros) > 1 - MIN_SHARE_OF_ZEROS:
        return ""
    return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"


def read_lines(path: Path, encoding: str, fix: str) -> list[str]:
    """Return the lines of the text file at ``path``, without their ends; raises DataError as `read_text` does."""
    return lines_of(read_text(path, encoding, fix))


def lines_of(text: str) -> list[str]:
    r"""Return the lines of ``text``, without their ends: \n, \r\n, or \r alone."""
    # Not splitlines, which takes control characters and Unicode's own separators for ends.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines
