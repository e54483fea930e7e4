"""What a model of texts takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from thresher.errors import InvalidInputError
from thresher.modalities.model_input import AnyLength, ModelInput, join_padded, last_used


def _is_zero(value: int) -> bool:
    """Return whether ``value`` is what it was before there were pretrained tokenizers; JSON then leaves it out."""
    return not value


def _is_one(value: int | None) -> bool:
    return value == 1


class TextInput(ModelInput):
    """Tokens, int64 [N, T]; those after the end of a text are padding."""

    name: ClassVar[str] = "tokens"
    dtype: ClassVar[np.dtype] = np.dtype(np.int64)
    is_dense: ClassVar[bool] = False
    kind: Literal["text"] = "text"
    vocabulary_size: int
    """Tokens, the padding and the unknown one among them."""
    max_length: int
    padding: int = Field(default=0, exclude_if=_is_zero)
    """The token that fills a shorter text up."""
    unknown: int | None = Field(default=1, exclude_if=_is_one)
    """The token for what the tokenizer does not know; None where a pretrained one names none."""
    pads_within: bool = Field(default=False, exclude_if=_is_zero)
    """Whether the padding token may also stand within a text, as a pretrained tokenizer reads it where it is spelled
    out. Of a tokenizer that was trained here it cannot."""

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
        return np.full((count, self.max_length), 1 if self.padding != 1 else 0, self.dtype)

    def check_values(self, batch: np.ndarray) -> None:
        if batch.size and not (batch.min() >= 0 and batch.max() < self.vocabulary_size):
            raise InvalidInputError(f"tokens must be 0 to {self.vocabulary_size - 1}; {self.padding} is padding.")
        padding = batch == self.padding
        within = not self.pads_within and (padding[:, :-1] & ~padding[:, 1:]).any()
        if within or padding[:, 0].any():
            raise InvalidInputError(
                f"tokens: {self.padding} is padding; it may stand at the end alone, after a token or more."
            )

    def lengths(self, batch: np.ndarray) -> np.ndarray:
        return last_used(batch != self.padding)

    def trim(self, batch: np.ndarray) -> np.ndarray:
        used = np.flatnonzero((batch != self.padding).any(axis=0))
        return batch[:, : used[-1] + 1 if len(used) else 1]

    def join(self, batches: Sequence[np.ndarray]) -> np.ndarray:
        return join_padded(batches, self.padding)
