"""Columns of a file, of exact types, and the place of each row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thresher.errors import DataError, nearest
from thresher.readers.frame.values import decode, is_readable

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Frame:
    """Columns of a file.

    Attributes:
        columns: name -> Arrow array [N] of the type that the file gives it; of CSV, all are text.
        places: such as `adult.data:18`, dtype object [N].
        source: the file.
        hint: what to write where a column is not found, since the file seems to be another one, or "".
        unusable: column -> why it cannot be used as it is, and what to do, such as one that has no name.
        index: columns that pandas' own metadata in the file calls its index.
    """

    columns: Mapping[str, pa.Array]
    places: np.ndarray
    source: Path
    hint: str = ""
    unusable: Mapping[str, str] = field(default_factory=dict)
    index: tuple[str, ...] = ()

    def column(self, name: str, what: str) -> pa.Array:
        """Return the column ``name``; raises DataError where there is none, saying that it is ``what``."""
        if name not in self.columns:
            fix = f"Fix: {self.hint}" if self.hint else nearest(name, self.columns)
            raise DataError(f"{self.source}: no column '{name}' ({what}). {fix}")
        return self.columns[name]

    def values(self, name: str, fix: str) -> pa.Array:
        """Return the column ``name``, which is there, as an array of texts, numbers, truths or dates.

        Raises:
            DataError: it is of another type, such as lists, with the ``fix``.
        """
        column = decode(self.columns[name])
        if not is_readable(column.type):
            told = f"{self.source}: column '{name}' is of type {str(column.type)[:80]}. Fix: {fix}"
            raise DataError(self.unusable.get(name, told))
        return column

    def refuse_unusable(self, names: Iterable[str]) -> None:
        """Raise a DataError if one of the columns ``names`` cannot be used as it is, with what to do."""
        for name in names:
            if name in self.unusable:
                raise DataError(self.unusable[name])
