"""Dates as numbers: days since 1970-01-01, by a format that the catalog entry declares."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from thresher.modalities.tabular.days import UNIT, UNIT_OF_TIMES, days_since_epoch, read_iso

ISO, DIGITS = "iso", "%Y%m%d"
MIDNIGHT = datetime(1900, 1, 1, tzinfo=UTC)
"""The day that a format without one gives."""

FORMATS = (
    "%d.%m.%Y", "%d.%m.%y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y",
    "%Y/%m/%d", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p", "%Y/%m/%d %H:%M:%S", "%d-%m-%Y", "%m-%d-%Y", "%d-%m-%Y %H:%M", "%d-%m-%Y %H:%M:%S",
    "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%b-%Y", "%b-%y",
    "%b %Y", "%B %Y", "%Y-%m", "%Y.%m.%d", "%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p",
)  # fmt: skip
"""What is tried, besides ISO 8601, to say which format a column may have."""
LIKE_A_DATE = re.compile(
    r"\d{4}-\d{1,2}(-\d{1,2})?([T ].*)?|\d{4}-?W\d{2}(?:-?\d)?|\d{1,4}([./-])\d{1,2}\3\d{1,4}([T ].*)?"
    r"|\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?\s*([AaPp]\.?[Mm]\.?)?"
    r"|(?i:(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}[. -]+\d{2,4})"
    r"|(?i:\d{1,2}[. -]+[a-zäéû]{3,9}\.?[ -]+\d{2,4}.*|[a-z]{3,9}\.? \d{1,2},? \d{4}.*)"
)


def unit_of(form: str) -> str:
    """Return in words what number a date of the format ``form`` becomes."""
    return UNIT if form == ISO or re.search(r"%[-dmyYbBjGUWVxcDFsf]", form.replace("%f", "")) else UNIT_OF_TIMES


def read_date(text: str, form: str) -> float:
    """Return a date as days since 1970-01-01 UTC, a time of day as the part of a day.

    A date without a time zone is taken for UTC.

    Args:
        form: "iso" for ISO 8601, or a format of Python's strptime.

    Raises:
        ValueError: it is not a date of that format.
    """
    try:
        if form == ISO:
            return read_iso(text)
        days = days_since_epoch(datetime.strptime(text.strip(), form))
    except OverflowError as error:
        raise ValueError(str(error)) from error
    return days if unit_of(form) == UNIT else days - days_since_epoch(MIDNIGHT)


def days_of(column: Any) -> np.ndarray:
    """Return an Arrow array of dates, times of day or both as days, float64 [N], NaN where missing."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_date(kind):
        numbers = column.cast(pa.date32()).cast(pa.int32())
        per_day = 1.0
    else:
        width = pa.int32() if pa.types.is_time32(kind) else pa.int64()
        numbers = column.cast(width)
        per_day = 86_400.0 * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
    present = numbers.is_valid().to_numpy(zero_copy_only=False)
    values = numbers.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64) / per_day
    return np.where(present, values, np.nan)


def is_like_a_date(text: str) -> bool:
    """Return whether ``text`` looks like a date or a time of day."""
    return LIKE_A_DATE.fullmatch(text.strip()) is not None


def are_dates_in_digits(numbers: Iterable[float]) -> bool:
    """Return whether ``numbers``, each once, are dates written as 20240131: two or more, from 1900 to 2100."""
    found = list(numbers)
    if len(found) < 2 or not all(19_000_101 <= number <= 21_001_231 and number.is_integer() for number in found):
        return False
    return all(_is_date(str(int(number)), DIGITS) for number in found)


def suggest_dates(texts: Sequence[str]) -> list[str]:
    """Return the formats by which all of ``texts`` are dates; two where either may be."""
    return [form for form in (ISO, *FORMATS) if all(_is_date(text, form) for text in texts)][:2]


def _is_date(text: str, form: str) -> bool:
    try:
        read_date(text, form)
    except ValueError:
        return False
    return True
