"""Mean and standard deviation of what a file may hold: numbers with a large offset, huge or tiny. No torch in here."""

from __future__ import annotations

import numpy as np

LARGEST_NUMBER = 1e100
"""The largest number in a table, a series or a label: its square must be finite, and so must the sum of many."""
TINIEST = 1e-300
"""A smaller deviation has no finite inverse, or few digits."""
SWAMPED = "beside it, others become equal in 32-bit floats. Fix: correct or remove it, or give the logarithm."
"""What is said of a value that `find_swamping` finds."""
MANY_STEPS, FEW = 1e-4, 0.01
"""All but so few values are nearer to the median than this share of the farthest, where that one may swamp the others.
"""
HARDLY = 1e-6
"""A deviation that is a smaller share of the largest number needs care: squares of plain differences lose it."""


def center(values: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation of ``values``, float64 [N], N at least 1, of numbers up to LARGEST_NUMBER.

    The deviation is 1 where all values are alike: they are left at their scale.

    Raises:
        ValueError: they differ, but by so little that nothing can be computed with it; worded to follow a name.
    """
    with np.errstate(under="ignore"):
        mean, std = float(values.mean()), float(values.std())
    if not std > max(HARDLY * float(np.abs(values).max()), TINIEST):
        mean, std = _center_with_care(values)
    if std == 0:
        raise ValueError(f"differ by less than {TINIEST:g}")
    return mean, std


def find_swamping(values: np.ndarray, mean: float, std: float) -> int | None:
    """Return the index of a value beside which half of the different other ``values`` become equal in float32.

    Args:
        values: without missing ones, float64 [N], as `center` takes them.
        mean: as `center` gives it.
        std: as `center` gives it.
    """
    apart = np.abs(values - np.median(values))
    if np.count_nonzero(apart > MANY_STEPS * apart.max()) > max(1, FEW * len(values)):
        return None  # by far the most columns, without the sorting below
    single = ((values - mean) / std).astype(np.float32)
    return None if len(np.unique(single)) > len(np.unique(values)) / 2 else int(apart.argmax())


def too_large(values: np.ndarray) -> np.ndarray:
    """Return which of ``values`` are infinite or larger than can be computed with, bool; a missing one is not."""
    large: np.ndarray = np.abs(values) > LARGEST_NUMBER
    return large


def _center_with_care(values: np.ndarray) -> tuple[float, float]:
    """Return mean and deviation by differences from one of the values, in units of the largest; 0 for too small."""
    apart = values - values[0]
    reach = float(np.abs(apart).max())
    if reach == 0:
        return float(values[0]), 1.0
    shares = apart / reach
    mean, std = float(values[0] + reach * shares.mean()), float(reach * shares.std())
    return mean, std if std > TINIEST else 0.0
