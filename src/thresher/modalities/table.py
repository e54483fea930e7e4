"""A table in memory: columns by name, without pandas, which the service does not have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Table:
    """Rows of named columns.

    Attributes:
        columns: name -> array [N]; numbers are float64 with NaN where missing, anything else is text (dtype object)
            with None where missing.
    """

    columns: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns.items()}
        assert len(set(lengths.values())) == 1, lengths
        assert all(column.dtype in (np.float64, np.object_) for column in self.columns.values())

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, indices: np.ndarray | slice) -> Table:
        return Table({name: column[indices] for name, column in self.columns.items()})
