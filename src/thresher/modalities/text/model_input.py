"""What a model of texts takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from thresher.errors import InvalidInputError
from thresher.modalities.model_input import AnyLength, ModelInput, join_padded, last_used


class TextInput(ModelInput):
    """Tokens, int64 [N, T]; 0 is padding and stands at the end alone."""

    name: ClassVar[str] = "tokens"
    dtype: ClassVar[np.dtype] = np.dtype(np.int64)
    is_dense: ClassVar[bool] = False
    kind: Literal["text"] = "text"
    vocabulary_size: int
    """Tokens, the padding and the unknown one among them."""
    max_length: int

    @classmethod
    def probes(cls) -> tuple[TextInput, TextInput]:
        return cls(vocabulary_size=50, max_length=16), cls(vocabulary_size=70, max_length=24)

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
        return last_used(batch != 0)

    def trim(self, batch: np.ndarray) -> np.ndarray:
        used = np.flatnonzero((batch != 0).any(axis=0))
        return batch[:, : used[-1] + 1 if len(used) else 1]

    def join(self, batches: Sequence[np.ndarray]) -> np.ndarray:
        return join_padded(batches, 0)
