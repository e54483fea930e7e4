"""What a model takes: the one tensor that an encoder makes, by its name, type and shape. No torch in here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from thresher.config import Config
from thresher.errors import InvalidInputError

LARGEST = float(np.finfo(np.float32).max)
AnyLength = None
"""In a shape: an axis that is as long as the longest sample of a batch."""


class ModelInput(Config):
    """Base: the input tensor of a model, in torch and in ONNX alike."""

    name: ClassVar[str]
    """Of the ONNX graph's input."""
    dtype: ClassVar[np.dtype]

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Of one sample; None for an axis of any length."""
        raise NotImplementedError

    @property
    def longest(self) -> tuple[int, ...]:
        """Of the longest sample that is allowed."""
        raise NotImplementedError

    @property
    def sample_bytes(self) -> int:
        """Of the longest sample."""
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


class ImageInput(ModelInput):
    """Pixels, uint8 [N, C, H, W]; normalized inside the graph."""

    name: ClassVar[str] = "image"
    dtype: ClassVar[np.dtype] = np.dtype(np.uint8)
    kind: Literal["image"] = "image"
    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    """Of each channel over the training split, in 0..255."""
    std: tuple[float, ...]

    @property
    def shape(self) -> tuple[int | None, ...]:
        return self.longest

    @property
    def longest(self) -> tuple[int, ...]:
        return (self.channels, self.height, self.width)


class TextInput(ModelInput):
    """Tokens, int64 [N, T]; 0 is padding and stands at the end alone."""

    name: ClassVar[str] = "tokens"
    dtype: ClassVar[np.dtype] = np.dtype(np.int64)
    kind: Literal["text"] = "text"
    vocabulary_size: int
    """Tokens, the padding and the unknown one among them."""
    max_length: int

    @property
    def shape(self) -> tuple[int | None, ...]:
        return (AnyLength,)

    @property
    def longest(self) -> tuple[int, ...]:
        return (self.max_length,)

    def example(self, count: int) -> np.ndarray:
        return np.ones((count, self.max_length), self.dtype)

    def check_values(self, batch: np.ndarray) -> None:
        if batch.size and not (batch.min() >= 0 and batch.max() < self.vocabulary_size):
            raise InvalidInputError(f"tokens must be 0 (padding) to {self.vocabulary_size - 1}.")
        padding = batch == 0
        if (padding[:, :-1] & ~padding[:, 1:]).any() or padding[:, 0].any():
            raise InvalidInputError("tokens: 0 is padding; it may stand at the end alone, after a token or more.")

    def lengths(self, batch: np.ndarray) -> np.ndarray:
        return _lengths(batch != 0)

    def trim(self, batch: np.ndarray) -> np.ndarray:
        used = np.flatnonzero((batch != 0).any(axis=0))
        return batch[:, : used[-1] + 1 if len(used) else 1]

    def join(self, batches: Sequence[np.ndarray]) -> np.ndarray:
        return _join_padded(batches, 0)


class TabularInput(ModelInput):
    """A row, float32 [N, F]: standardized numbers and missing-value flags, then one code for each categorical column.

    A code is a whole number: 0 is a category that training did not see, 1.. are those that it saw.
    """

    name: ClassVar[str] = "row"
    dtype: ClassVar[np.dtype] = np.dtype(np.float32)
    kind: Literal["tabular"] = "tabular"
    num_numeric: int
    """Leading columns that are numbers."""
    cardinalities: tuple[int, ...]
    """Codes of each categorical column, 0 included."""

    @property
    def shape(self) -> tuple[int | None, ...]:
        return self.longest

    @property
    def longest(self) -> tuple[int, ...]:
        return (self.num_numeric + len(self.cardinalities),)

    def check_values(self, batch: np.ndarray) -> None:
        if not np.isfinite(batch).all():
            raise InvalidInputError("row: NaN or infinity given; every number must be finite.")
        codes = batch[:, self.num_numeric :]
        wrong = (codes < 0) | (codes >= np.array(self.cardinalities)) | (codes != np.floor(codes))
        if wrong.any():
            column = int(wrong.any(axis=0).argmax())
            allowed = f"a whole number of 0 to {self.cardinalities[column] - 1}"
            raise InvalidInputError(f"row: place {self.num_numeric + column} holds a category's code, {allowed}.")


class SeriesInput(ModelInput):
    """A series, float64 [N, T, C]; NaN is padding, in all channels at once, and stands at the end alone.

    A counter such as 1,700,000,123 would lose its last digits in float32: the graph takes the mean off in float64, and
    goes on in float32.
    """

    name: ClassVar[str] = "series"
    dtype: ClassVar[np.dtype] = np.dtype(np.float64)
    kind: Literal["series"] = "series"
    channels: int
    max_length: int
    mean: tuple[float, ...]
    """Of each channel over the training split."""
    std: tuple[float, ...]

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
        return _lengths(~np.isnan(batch[:, :, 0]))

    def trim(self, batch: np.ndarray) -> np.ndarray:
        used = np.flatnonzero(~np.isnan(batch[:, :, 0]).all(axis=0))
        return batch[:, : used[-1] + 1 if len(used) else 1]

    def join(self, batches: Sequence[np.ndarray]) -> np.ndarray:
        return _join_padded(batches, np.nan)


AnyInput = Annotated[ImageInput | TextInput | TabularInput | SeriesInput, Field(discriminator="kind")]


def _lengths(used: np.ndarray) -> np.ndarray:
    """Return the place after the last true of each row of ``used``, bool [N, T]; 0 where there is none."""
    ends: np.ndarray = (used * np.arange(1, used.shape[1] + 1)).max(axis=1, initial=0)
    return ends


def _join_padded(batches: Sequence[np.ndarray], padding: float) -> np.ndarray:
    if len(batches) == 1:
        return batches[0]
    longest, (_, _, *rest) = max(batch.shape[1] for batch in batches), batches[0].shape
    joined = np.full((sum(map(len, batches)), longest, *rest), padding, batches[0].dtype)
    start = 0
    for batch in batches:
        joined[start : start + len(batch), : batch.shape[1]] = batch
        start += len(batch)
    return joined
