"""Which columns of a table are numbers and which are categories."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thresher.datasets.raw_base import Mistakes
from thresher.datasets.raw_frame import Frame
from thresher.datasets.raw_labels import as_text
from thresher.errors import DataError

MOSTLY = 0.9
"""Of the values of a column: where more are numbers, but not all, something is wrong with the others."""
NOT_FINITE = "mend or remove the row, or list what it says under 'missing' in the catalog."
NO_NUMBER = "mend the row, list what it says under 'missing' in the catalog, or name the column under 'categorical'."


@dataclass(frozen=True)
class ColumnTypes:
    """What a catalog entry says of its columns."""

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()


def type_columns(frame: Frame, types: ColumnTypes) -> dict[str, np.ndarray]:
    """Return the columns of ``frame`` as float64 where they are numbers, else as text.

    Raises:
        DataError: a value that is no number among numbers, an infinite number, a column that is named as both; with
            the first rows.
    """
    both = set(types.numeric) & set(types.categorical)
    if both:
        raise DataError(f"{frame.source}: column '{both.pop()}' is named as numeric and as categorical. Fix: as one.")
    mistakes = Mistakes()
    columns = {name: _typed(name, values, frame, types, mistakes) for name, values in frame.columns.items()}
    mistakes.refuse()
    return columns


def _typed(name: str, values: np.ndarray, frame: Frame, types: ColumnTypes, mistakes: Mistakes) -> np.ndarray:
    folder = frame.source.parent
    if name in types.categorical:
        return _as_categories(values)
    if values.dtype == np.object_:
        numbers, wrong = _as_numbers(values)
        given = np.array([value is not None for value in values])
        if name not in types.numeric and (not given.any() or wrong.sum() > (1 - MOSTLY) * given.sum()):
            return values
        for index in np.flatnonzero(wrong):
            what = f"column '{name}' holds '{values[index][:60]}' among numbers"
            mistakes.add(folder / frame.places[index], what, NO_NUMBER)
        values = numbers
    for index in np.flatnonzero(np.isinf(values)):
        mistakes.add(folder / frame.places[index], f"column '{name}' holds an infinite number", NOT_FINITE)
    return values


def _as_numbers(texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``texts`` as float64, NaN where missing or no number, and where they are no number, bool [N]."""
    numbers, wrong = np.full(len(texts), np.nan), np.zeros(len(texts), dtype=bool)
    for index, text in enumerate(texts.tolist()):
        if text is None:
            continue
        try:
            numbers[index] = float(text)
        except ValueError:
            wrong[index] = True
        else:
            wrong[index] = numbers[index] != numbers[index] or "_" in text  # "nan", and Python's own 1_000
    return np.where(wrong, np.nan, numbers), wrong


def _as_categories(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.object_:
        return values
    return np.array([None if value != value else as_text(value) for value in values.tolist()], dtype=object)
