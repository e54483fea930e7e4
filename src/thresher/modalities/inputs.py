"""What a model takes: the one tensor that an encoder makes, by its name, type and shape. No torch in here."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from thresher.config import Config

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

    def example(self, count: int) -> np.ndarray:
        """Return ``count`` valid samples of the longest shape, all alike."""
        return np.zeros((count, *self.longest), self.dtype)

    def trim(self, batch: np.ndarray) -> np.ndarray:
        """Return ``batch`` [N, ...] without the padding that all of its samples end with."""
        return batch


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

    def trim(self, batch: np.ndarray) -> np.ndarray:
        used = np.flatnonzero((batch != 0).any(axis=0))
        return batch[:, : used[-1] + 1 if len(used) else 1]


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


class SeriesInput(ModelInput):
    """A series, float32 [N, T, C]; NaN is padding, in all channels at once, and stands at the end alone."""

    name: ClassVar[str] = "series"
    dtype: ClassVar[np.dtype] = np.dtype(np.float32)
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

    def trim(self, batch: np.ndarray) -> np.ndarray:
        used = np.flatnonzero(~np.isnan(batch[:, :, 0]).all(axis=0))
        return batch[:, : used[-1] + 1 if len(used) else 1]


AnyInput = Annotated[ImageInput | TextInput | TabularInput | SeriesInput, Field(discriminator="kind")]
