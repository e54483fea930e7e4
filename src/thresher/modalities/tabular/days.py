"""Dates as numbers: days since 1970-01-01, and times of day as parts of a day; for files and requests alike."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
UNIT, UNIT_OF_TIMES = "days since 1970-01-01 UTC", "days since midnight"


def days_since_epoch(moment: datetime) -> float:
    """Return ``moment`` as days since 1970-01-01 UTC; one without a time zone is taken for UTC."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) / DAY


def read_iso(text: str, unit: str = UNIT) -> float:
    """Return a date or a time of day, as ISO 8601 writes it, in ``unit``; raises ValueError where it is none."""
    if unit == UNIT_OF_TIMES:
        clock = time.fromisoformat(text.strip()).replace(tzinfo=None)
        return (datetime.combine(date.min, clock) - datetime.min) / DAY
    return days_since_epoch(datetime.fromisoformat(text.strip()))
