"""Corruptions of rows of a table."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field

from thresher.config import KindConfig
from thresher.errors import DataError, nearest
from thresher.evaluation.corruptions import DrawnCorruption
from thresher.modalities.tabular.table import Table


class MissingValues(DrawnCorruption):
    """Values left out."""

    kind: Literal["missing_values"] = "missing_values"
    share: float = Field(default=0.1, gt=0, le=1)
    """How many of the values of each column."""
    columns: tuple[str, ...] = ()
    """Of which columns; all where none is named."""


class ShiftedColumns(KindConfig):
    """Numbers moved all alike, as by a sensor that drifts or a unit that changed."""

    kind: Literal["shifted_columns"] = "shifted_columns"
    by: float = Field(default=0.5, allow_inf_nan=False)
    """How far, in standard deviations of the column in the test split."""
    columns: tuple[str, ...] = ()
    """Which columns, of numbers; all of these where none is named."""


def missing_values(rows: Table, config: MissingValues, random: np.random.Generator) -> Table:
    """Return ``rows`` as `MissingValues` says.

    Raises:
        DataError: a column that is not there.
    """
    columns = dict(rows.columns)
    for name in _named(rows, config.columns, tuple(columns), config.kind):
        gone = random.random(len(rows)) < config.share
        columns[name] = columns[name].copy()
        columns[name][gone] = None if columns[name].dtype == np.object_ else np.nan
    return replace(rows, columns=columns)


def shifted_columns(rows: Table, config: ShiftedColumns, random: np.random.Generator) -> Table:
    """Return ``rows`` as `ShiftedColumns` says.

    Raises:
        DataError: a column that is not there, or not of numbers; or there is none of these.
    """
    columns = dict(rows.columns)
    numeric = tuple(name for name, column in columns.items() if column.dtype.kind == "f")
    for name in _named(rows, config.columns, numeric, config.kind):
        column = columns[name]
        columns[name] = column + config.by * (np.nanstd(column) if not np.isnan(column).all() else 0.0)
    return replace(rows, columns=columns)


def _named(rows: Table, names: tuple[str, ...], allowed: tuple[str, ...], kind: str) -> tuple[str, ...]:
    for name in names:
        if name not in allowed:
            what = "is not one of numbers" if name in rows.columns else "is not there"
            raise DataError(f"data.corruptions, {kind}: column '{name}' {what}. {nearest(name, allowed)}")
    if not allowed:
        raise DataError(f"data.corruptions, {kind}: the data has no column of numbers. Fix: leave it out.")
    return names or allowed
