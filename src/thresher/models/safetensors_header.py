"""The header of a safetensors file: what tensors it holds, and how long it must be. No torch in here.

https://github.com/huggingface/safetensors#format: eight bytes with the length of a header of JSON, that, and the
tensors.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thresher.errors import DataError
from thresher.files import cannot_be_read

PREFIX = 8
MAX_HEADER = 100_000_000
"""Bytes: the bound that the safetensors library has."""


@dataclass(frozen=True)
class SafetensorsHeader:
    """What a safetensors file says of itself.

    Attributes:
        shapes: of its tensors, by their names.
        num_bytes: of the whole file.
    """

    shapes: dict[str, tuple[int, ...]]
    num_bytes: int

    def check_size(self, num_bytes: int, where: str) -> None:
        """Raise a DataError if the file ``where``, which has ``num_bytes``, was cut short or has more than it says."""
        lacks = self.num_bytes - num_bytes
        if lacks:
            what = f"lacks {lacks:,} bytes of" if lacks > 0 else f"has {-lacks:,} bytes beyond"
            raise DataError(f"{where}: {what} what its header says. Fix: copy the file again.")


def read_header(content: bytes) -> SafetensorsHeader | None:
    """Return the header that ``content`` begins with; None where it is no safetensors file."""
    length = int.from_bytes(content[:PREFIX], "little")
    if content[PREFIX : PREFIX + 1] != b"{" or not 0 < length <= min(MAX_HEADER, len(content) - PREFIX):
        return None
    try:
        header: dict[str, Any] = json.loads(content[PREFIX : PREFIX + length])
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        shapes = {name: tuple(map(int, entry["shape"])) for name, entry in entries.items()}
        end = max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return None
    return SafetensorsHeader(shapes, PREFIX + length + end)


def read_start(path: Path) -> bytes:
    """Return the file at ``path`` up to the end of its header; its tensors are not read.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            prefix = file.read(PREFIX)
            return prefix + file.read(min(MAX_HEADER, int.from_bytes(prefix, "little")))
    except OSError as error:
        raise cannot_be_read(path, error) from error
