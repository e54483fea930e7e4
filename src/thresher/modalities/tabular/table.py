"""A table in memory: columns by name, without pandas, which the service does not have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True)
class Table:
    """Rows of named columns.

    Attributes:
        columns: name -> array [N]; numbers are float64 with NaN where missing, anything else is text (dtype object)
            with None where missing.
        units: what the numbers of a column are, where that is known, such as days since 1970-01-01 UTC.
        declared: the columns whose type a person has said; the others' was found.
    """

    columns: Mapping[str, np.ndarray]
    units: Mapping[str, str] = field(default_factory=dict)
    declared: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns.items()}
        assert len(set(lengths.values())) == 1, lengths
        assert all(column.dtype in (np.float64, np.object_) for column in self.columns.values())

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, indices: np.ndarray | slice) -> Table:
        return replace(self, columns={name: column[indices] for name, column in self.columns.items()})

    def empty_like(self, other: Table) -> Table:
        """Return this table with columns that have no value at all of the type that they have in ``other``."""
        columns = {
            name: empty_as(column, other.columns[name].dtype) if name in other.columns else column
            for name, column in self.columns.items()
        }
        return replace(self, columns=columns)


def is_missing(column: np.ndarray) -> np.ndarray:
    """Return where a column of a table has no value, bool [N]."""
    if column.dtype == np.object_:
        return np.array([value is None for value in column.tolist()], dtype=bool)
    missing: np.ndarray = np.isnan(column)
    return missing


def empty_as(column: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return ``column`` as ``dtype``, float64 or object, where it has no value at all; else as it is."""
    if column.dtype == dtype or not is_missing(column).all():
        return column
    return np.full(len(column), None if dtype == np.object_ else np.nan, dtype=dtype)
