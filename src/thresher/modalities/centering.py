"""Mean and standard deviation of what a file may hold: numbers with a large offset, huge or tiny. No torch in here."""

from __future__ import annotations

import numpy as np

TINIEST = 1e-290
"""A smaller deviation has no finite inverse, or few digits."""
HARDLY = 1e-6
"""A deviation that is a smaller share of the largest number needs care: squares of plain differences lose it."""


def center(values: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation of ``values``, float64 [N], finite, N at least 1.

    The deviation is 1 where all values are alike: they are left at their scale.

    Raises:
        ValueError: they differ, but by so little that nothing can be computed with it; worded to follow a name.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        mean, std = float(values.mean()), float(values.std())
    if not (HARDLY * float(np.abs(values).max()) < std < np.inf and std > TINIEST):
        mean, std = _center_with_care(values)
    if std == 0:
        raise ValueError(f"differ by less than {TINIEST:g}")
    return mean, std


def _center_with_care(values: np.ndarray) -> tuple[float, float]:
    """Return mean and deviation by differences from one of the values, in units of the largest; 0 for too small."""
    halves = values / 2  # so that no difference is more than the largest float64
    apart = halves - halves[0]
    reach = float(np.abs(apart).max())
    if reach == 0:
        return float(values[0]), 1.0
    shares = apart / reach
    mean, std = float(halves[0] + reach * shares.mean()) * 2, float(reach * shares.std()) * 2
    return mean, std if std > TINIEST else 0.0
