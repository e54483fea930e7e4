"""The values of an Arrow column, exactly: as text, or as float64 with what that would change named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np

from thresher.modalities.tabular.columns import category_text

EXACT = 2**53
"""The number up to which float64 holds every whole number."""


@dataclass(frozen=True)
class Missing:
    """What stands for a missing value besides an empty cell and null: texts, and what they say as numbers."""

    codes: frozenset[str] = frozenset()

    @cached_property
    def numbers(self) -> np.ndarray:
        """The codes that are numbers, float64: -999 also stands for -999.0."""
        values = (_as_float(code) for code in self.codes)
        return np.array([value for value in values if value is not None and value == value], dtype=np.float64)

    def __contains__(self, text: str) -> bool:
        """Return whether ``text`` stands for a missing value."""
        if not text or text in self.codes:
            return True
        value = _as_float(text) if len(self.numbers) else None
        return value is not None and bool((self.numbers == value).any())


NOTHING = Missing()


def is_numeric(kind: Any) -> bool:
    """Return whether an Arrow type is of numbers."""
    import pyarrow as pa

    return any(is_one(kind) for is_one in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal))


def is_temporal(kind: Any) -> bool:
    """Return whether an Arrow type is of dates, of times of day, or of both."""
    import pyarrow as pa

    return any(is_one(kind) for is_one in (pa.types.is_date, pa.types.is_timestamp, pa.types.is_time))


def is_textual(kind: Any) -> bool:
    """Return whether an Arrow type is of texts."""
    import pyarrow as pa

    return kind in (pa.string(), pa.large_string(), pa.string_view())


def is_readable(kind: Any) -> bool:
    """Return whether an Arrow type is of texts, numbers, truths or dates, or of nulls alone."""
    import pyarrow as pa

    return is_numeric(kind) or is_temporal(kind) or is_textual(kind) or kind in (pa.bool_(), pa.null())


def decode(column: Any) -> Any:
    """Return an Arrow array without what only says how it is stored: a dictionary, an extension, a view, run ends."""
    import pyarrow as pa
    from pyarrow import compute

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    while True:
        if isinstance(column.type, pa.BaseExtensionType):
            column = column.storage
        elif pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        elif pa.types.is_run_end_encoded(column.type):
            column = compute.run_end_decode(column)
        elif pa.types.is_string_view(column.type):
            column = column.cast(pa.large_string())
        else:
            return column


def as_texts(column: Any, missing: Missing) -> np.ndarray:
    """Return each value of an Arrow array as text, exactly: dtype object [N], None where missing.

    Whole numbers are written without a point, float32 in as few digits as tell it apart, decimals without zeros at
    their end, dates by ISO 8601, and truths as true and false.
    """
    import pyarrow as pa

    if pa.types.is_null(column.type):
        return np.full(len(column), None, dtype=object)
    found = _dictionary(column)
    if len(found.dictionary) > len(column) // 2 and is_textual(column.type) and not missing.codes:
        texts: np.ndarray = column.to_numpy(zero_copy_only=False).copy()
        texts[texts == ""] = None
        return texts
    kept, places = _read_dictionary(found, column.type, missing)
    values: np.ndarray = np.array([*kept, None], dtype=object)[places]
    return values


def distinct_texts(column: Any, missing: Missing) -> tuple[list[str | None], np.ndarray]:
    """Return the different values of an Arrow array as `as_texts` gives them, and which of them each is.

    Returns:
        values: None for those that stand for a missing value.
        places: int64 [N], the index into values; -1 where nothing is given.
    """
    return _read_dictionary(_dictionary(column), column.type, missing)


def _dictionary(column: Any) -> Any:
    import pyarrow as pa

    try:
        return column.dictionary_encode()
    except pa.ArrowNotImplementedError:  # of rare types, such as float16 and decimal32
        return pa.DictionaryArray.from_arrays(pa.array(range(len(column)), pa.int32()), column)


def _read_dictionary(found: Any, kind: Any, missing: Missing) -> tuple[list[str | None], np.ndarray]:
    values = [_unless(missing, _as_text(value, kind)) for value in found.dictionary.to_pylist()]
    return values, found.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


def _unless(missing: Missing, text: str | None) -> str | None:
    return None if text is None or text in missing else text


def _as_text(value: Any, kind: Any) -> str | None:
    import pyarrow as pa

    if isinstance(value, float):
        if value != value:
            return None
        narrow = {pa.float16(): np.float16, pa.float32(): np.float32}.get(kind)
        return category_text(value if narrow is None or value.is_integer() else float(str(narrow(value))))
    if pa.types.is_decimal(kind) and value is not None:
        return decimal_text(value)
    if is_temporal(kind) and value is not None:
        return str(value.isoformat())
    return None if value is None else category_text(value)


def decimal_text(value: Decimal) -> str:
    """Return a finite number in its fewest digits, without an exponent: 1 for 1.0 and for 01."""
    written = f"{value:f}"  # normalize() would round to 28 digits
    return written.rstrip("0").rstrip(".") if "." in written else written


def as_float64(column: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return an Arrow array of numbers as float64, NaN where missing, and where that changes a whole number.

    Returns:
        values: float64 [N].
        changed: bool [N].
    """
    import pyarrow as pa

    if pa.types.is_decimal(column.type):
        return float64_of_texts(column.cast(pa.string()).to_pylist())
    present = column.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_floating(column.type):
        return column.to_numpy(zero_copy_only=False).astype(np.float64), np.zeros(len(column), dtype=bool)
    whole = column.fill_null(0).to_numpy(zero_copy_only=False)
    values, changed = whole.astype(np.float64), np.zeros(len(whole), dtype=bool)
    for index in np.flatnonzero(np.abs(values) >= EXACT):
        changed[index] = int(values[index]) != int(whole[index])
    return np.where(present, values, np.nan), changed


def float64_of_texts(texts: Iterable[str | None]) -> tuple[np.ndarray, np.ndarray]:
    """Return texts that are numbers as float64, and where that changes a number beyond 2^53, as `as_float64` does."""
    pairs = [(np.nan, False) if text is None else (float(text), changes(text)) for text in texts]
    return np.array([value for value, _ in pairs], dtype=np.float64), np.array(
        [wrong for _, wrong in pairs], dtype=bool
    )


def changes(text: str) -> bool:
    """Return whether float64 makes another number of ``text``, which is written in full and beyond 2^53."""
    value = float(text)
    if abs(value) < EXACT or not np.isfinite(value) or "e" in text.lower():
        return False
    return Decimal(text.strip()) != Decimal(value)


def _as_float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
