"""Rows as the model takes them: float32 [N, F], numbers, then flags of missing ones, then codes of categories."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np

DAY, EPOCH = timedelta(days=1), datetime(1970, 1, 1, tzinfo=UTC)


def encode(encoder: dict[str, Any], rows: list[dict[str, Any]]) -> np.ndarray:
    """Return rows, each a mapping of column to value, None where missing; raises a ValueError for one that is none."""
    names = {column["name"] for column in encoder["columns"]}
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or set(row) != names:
            raise ValueError(f"row {number}: expected exactly the columns {sorted(names)}")
    numbers, flags, codes = [], [], []
    for column in encoder["columns"]:
        values = [row[column["name"]] for row in rows]
        if column["kind"] == "numeric":
            read = np.array([read_number(column, value) for value in values])
            standardized = (read - column["mean"]) / column["std"]
            if not (np.abs(standardized[~np.isnan(read)]) <= np.finfo(np.float32).max).all():
                raise ValueError(f"{column['name']}: a number is infinite or too large")
            numbers.append(np.where(np.isnan(read) | column["is_constant"], 0.0, standardized))
            flags += [np.isnan(read)] if column["has_missing"] else []
        else:
            codes.append(
                np.array([read_code(column, value, encoder["unseen_categories"] == "refuse") for value in values])
            )
    return np.stack([*numbers, *flags, *codes], axis=1).astype(np.float32)


def read_number(column: dict[str, Any], value: Any) -> float:
    """Return a number, NaN where it is missing; a date or time of ISO 8601 in days, where the column is of such."""
    if value is None:
        if column["has_missing"]:
            return float("nan")
        raise ValueError(f"{column['name']}: no value, but training had no missing one here")
    if isinstance(value, str) and column["unit"]:
        try:
            return read_days(value.strip(), column["unit"])
        except ValueError as error:
            raise ValueError(f"{column['name']}: {value!r} is no date or time of ISO 8601 ({error})") from error
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300 or float(value) != value:
        raise ValueError(f"{column['name']}: {value!r} is not a number, or one that float64 does not hold")
    return float(value)


def read_days(text: str, unit: str) -> float:
    """Return a date or time in days since midnight, or since 1970 in UTC; raises a ValueError for what is none."""
    if unit == "days since midnight":
        clock = time.fromisoformat(text).replace(tzinfo=None)
        return (datetime.combine(date.min, clock) - datetime.min) / DAY
    moment = datetime.fromisoformat(text)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) / DAY


def read_code(column: dict[str, Any], value: Any, refuse: bool) -> float:
    """Return the code of a category: 1 for the first of the file; 0 for one that training did not see."""
    if isinstance(value, bool):
        value = "true" if value else "false"
    elif isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        value = str(int(value))
    elif isinstance(value, int | float):
        value = str(value)
    elif value is not None and not isinstance(value, str):
        raise ValueError(f"{column['name']}: {value!r} is no text")
    if value in column["categories"]:
        return float(column["categories"].index(value) + 1)
    if refuse:
        raise ValueError(f"{column['name']}: {value!r} was not in the training data")
    return 0.0
