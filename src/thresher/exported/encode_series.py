"""Series as the model takes them: float64 [N, T, C], NaN after the end of each; missing values are interpolated."""

from typing import Any

import numpy as np


def encode(encoder: dict[str, Any], many: list[Any]) -> np.ndarray:
    """Return series, each a list of steps of one number a channel (of one channel, plain numbers), None where missing.

    Raises:
        ValueError: one that the model cannot take.
    """
    whole = [one_series(encoder, number, series) for number, series in enumerate(many)]
    padded = np.full((len(whole), max(map(len, whole)), encoder["channels"]), np.nan)
    for row, series in zip(padded, whole, strict=True):
        row[: len(series)] = series
    return padded


def holds_numbers(series: Any) -> bool:
    """Return whether nested lists hold numbers and None alone: numpy would take true and texts for numbers, too."""
    if isinstance(series, list | tuple):
        return all(map(holds_numbers, series))
    if isinstance(series, np.ndarray):
        return series.dtype.kind in "iuf"
    return series is None or (isinstance(series, int | float | np.number) and not isinstance(series, bool | np.bool))


def one_series(encoder: dict[str, Any], number: int, series: Any) -> np.ndarray:
    """Return one series as float64 [T, C], without missing values."""
    if not holds_numbers(series):
        raise ValueError(f"series {number}: numbers are expected, or null where one is missing")
    try:
        steps = np.array(series, dtype=np.float64)
    except OverflowError as error:
        raise ValueError(f"series {number}: a number is infinite or too large") from error
    steps = steps[:, None] if steps.ndim == 1 else steps.copy()
    if steps.ndim != 2 or steps.shape[1] != encoder["channels"] or not 0 < len(steps) <= encoder["max_length"]:
        allowed = f"1 to {encoder['max_length']} steps of {encoder['channels']} numbers"
        raise ValueError(f"series {number}: shape {list(steps.shape)}, but {allowed} are expected")
    missing, places = np.isnan(steps), np.arange(len(steps))
    if missing.all(axis=0).any() or (missing.any() and encoder["missing"] == "refuse"):
        raise ValueError(f"series {number}: a value is missing")
    with np.errstate(over="ignore"):
        large = np.abs((steps - encoder["mean"]) / np.array(encoder["std"])) > np.finfo(np.float32).max
    if large.any():
        raise ValueError(f"series {number}: a number is infinite or too large")
    for channel, gone in enumerate(missing.T):
        steps[gone, channel] = np.interp(places[gone], places[~gone], steps[~gone, channel])
    return steps
