"""What a model takes: the one tensor that an encoder makes, by its name, type and shape. No torch in here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from thresher.config import KindConfig

LARGEST = float(np.finfo(np.float32).max)
AnyLength = None
"""An axis of a shape that is as long as the longest sample of a batch."""


class ModelInput(KindConfig):
    """Base: the input tensor of a model, in torch and in ONNX alike."""

    name: ClassVar[str]
    """The name of the ONNX graph's input."""
    dtype: ClassVar[np.dtype]
    SCALE: ClassVar[float] = 1.0
    """What networks from elsewhere are given one unit as, unless their recipe says otherwise."""
    is_dense: ClassVar[bool] = True
    """Whether a body is given each sample as one float tensor of the shape `longest`."""

    @classmethod
    def probes(cls) -> tuple[ModelInput, ModelInput] | None:
        """Return two that differ in all that data may differ in, to tell what of a network depends on it."""
        return None

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape of one sample; None for an axis of any length."""
        return self.longest

    @property
    def longest(self) -> tuple[int, ...]:
        """The shape of the longest sample that is allowed."""
        raise NotImplementedError

    @property
    def sample_bytes(self) -> int:
        """The bytes of the longest sample."""
        return math.prod(self.longest) * self.dtype.itemsize

    def example(self, count: int) -> np.ndarray:
        """Return ``count`` valid samples of the longest shape, all alike."""
        return np.zeros((count, *self.longest), self.dtype)

    def check_values(self, batch: np.ndarray) -> None:
        """Check that ``batch``, of this type and shape, holds what an encoder could have made.

        Raises:
            InvalidInputError: a value that the model cannot take.
        """

    def lengths(self, batch: np.ndarray) -> np.ndarray:
        """Return how long each sample of ``batch`` [N, ...] is without its padding, int64 [N]; all alike where none is.

        Sorted by it, samples that are computed together need the least padding.
        """
        return np.ones(len(batch), np.int64)

    def trim(self, batch: np.ndarray) -> np.ndarray:
        """Return ``batch`` [N, ...] without the padding that all of its samples end with."""
        return batch

    def join(self, batches: Sequence[np.ndarray]) -> np.ndarray:
        """Return ``batches``, each [N_i, ...], as one [N, ...], padded to the longest of them."""
        return batches[0] if len(batches) == 1 else np.concatenate(batches)


def last_used(used: np.ndarray) -> np.ndarray:
    """Return the place after the last true of each row of ``used``, bool [N, T]; 0 where there is none."""
    ends: np.ndarray = (used * np.arange(1, used.shape[1] + 1)).max(axis=1, initial=0)
    return ends


def join_padded(batches: Sequence[np.ndarray], padding: float) -> np.ndarray:
    """Return ``batches``, each [N_i, T_i, ...], as one [N, T, ...], the shorter ones filled up by ``padding``."""
    if len(batches) == 1:
        return batches[0]
    longest, (_, _, *rest) = max(batch.shape[1] for batch in batches), batches[0].shape
    joined = np.full((sum(map(len, batches)), longest, *rest), padding, batches[0].dtype)
    start = 0
    for batch in batches:
        joined[start : start + len(batch), : batch.shape[1]] = batch
        start += len(batch)
    return joined
