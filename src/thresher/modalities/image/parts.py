"""Pictures in parts, for what would otherwise copy all of them in a wider type."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

PART_BYTES = 4 * 2**20


def in_parts(pictures: np.ndarray) -> Iterator[np.ndarray]:
    """Yield ``pictures`` [N, ...] in their order, a few megabytes at a time and one picture at least."""
    step = max(1, PART_BYTES // max(1, pictures[:1].nbytes))
    for start in range(0, len(pictures), step):
        yield pictures[start : start + step]
