"""What of a sample mattered: the answer to it, less the answers to copies of it that lack a part each.

Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014, for patches of an image; Li,
Monroe and Jurafsky, "Understanding Neural Networks through Representation Erasure", 2016, for words. Here patches
overlap, and each cell of an image or step of a series has the mean over the patches that cover it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_COPIES = 256
CELLS_A_PATCH = 3
"""How many cells a patch covers along each axis."""


@dataclass(frozen=True)
class Occlusion:
    """Copies of one sample that lack a part each, made one by one, and what they tell."""

    num_copies: int
    copy: Callable[[int], np.ndarray]
    """Makes copy number `index`, below num_copies: an encoded sample [1, ...]."""
    tell: Callable[[np.ndarray], dict[str, Any]]
    """Turns how much lower the answer to each copy is, float [num_copies], into what is said of each part."""


@dataclass(frozen=True)
class Axis:
    """An axis cut into cells of one size, the last of which may be shorter, with patches of some cells each.

    Patches begin before the axis and end behind it, so that every cell is covered by as many of them.
    """

    length: int
    max_cells: int

    @property
    def cell(self) -> int:
        return math.ceil(self.length / self.max_cells)

    @property
    def num_cells(self) -> int:
        return math.ceil(self.length / self.cell)

    @property
    def num_patches(self) -> int:
        return self.num_cells + CELLS_A_PATCH - 1

    def patch(self, index: int) -> slice:
        end = (index + 1) * self.cell
        return slice(max(0, end - CELLS_A_PATCH * self.cell), end)


def mean_over_patches(drops: np.ndarray) -> np.ndarray:
    """Return [cells, ...] of ``drops`` [patches, ...] along each axis."""
    window = (CELLS_A_PATCH,) * drops.ndim
    views = np.lib.stride_tricks.sliding_window_view(drops, window)
    means: np.ndarray = views.mean(axis=tuple(range(drops.ndim, 2 * drops.ndim)))
    return means


def groups(count: int, most: int) -> list[slice]:
    """Return ``count`` things in their order as at most ``most`` groups of one size, one each where that suffices."""
    size = max(1, math.ceil(count / most))
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]
