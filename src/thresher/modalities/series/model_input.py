"""What a model of series takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from thresher.errors import InvalidInputError
from thresher.modalities.model_input import LARGEST, AnyLength, ModelInput, join_padded, last_used


class SeriesInput(ModelInput):
    """A series, float64 [N, T, C]; NaN is padding, in all channels at once, and stands at the end alone.

    A counter such as 1,700,000,123 would lose its last digits in float32: the graph takes the mean off in float64, and
    goes on in float32.
    """

    name: ClassVar[str] = "series"
    dtype: ClassVar[np.dtype] = np.dtype(np.float64)
    is_dense: ClassVar[bool] = False
    kind: Literal["series"] = "series"
    channels: int
    max_length: int
    mean: tuple[float, ...]
    """The mean of each channel over the training split."""
    std: tuple[float, ...]

    @classmethod
    def probes(cls) -> tuple[SeriesInput, SeriesInput]:
        return (
            cls(channels=1, max_length=16, mean=(0.0,), std=(1.0,)),
            cls(channels=3, max_length=24, mean=(0.0,) * 3, std=(1.0,) * 3),
        )

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (AnyLength, self.channels)

    @property
    def longest(self) -> tuple[int, ...]:
        return (self.max_length, self.channels)

    def check_values(self, batch: np.ndarray) -> None:
        missing = np.isnan(batch)
        padding = missing.all(axis=2)
        if (missing.any(axis=2) != padding).any() or (padding[:, :-1] & ~padding[:, 1:]).any() or padding[:, 0].any():
            raise InvalidInputError("series: NaN is padding; it may stand at the end alone, in all channels at once.")
        if self.too_large(batch).any():
            raise InvalidInputError("series: infinity given, or a number too far from those of training.")

    def too_large(self, series: np.ndarray) -> np.ndarray:
        """Return which of ``series`` [..., C] have no finite float32 once they are standardized, bool [..., C]."""
        with np.errstate(over="ignore"):
            large: np.ndarray = np.abs((series - np.array(self.mean)) / np.array(self.std)) > LARGEST
        return large

    def lengths(self, batch: np.ndarray) -> np.ndarray:
        return last_used(~np.isnan(batch[:, :, 0]))

    def trim(self, batch: np.ndarray) -> np.ndarray:
        used = np.flatnonzero(~np.isnan(batch[:, :, 0]).all(axis=0))
        return batch[:, : used[-1] + 1 if len(used) else 1]

    def join(self, batches: Sequence[np.ndarray]) -> np.ndarray:
        return join_padded(batches, np.nan)
