"""Samples: what every catalog entry of raw data loads, and every stage passes on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Samples:
    """Labelled samples of one split.

    Attributes:
        inputs: one raw sample a row; images are uint8 of shape [N, C, H, W].
        labels: int64 of shape [N], an index into ``class_names``; -1 where the label is missing.
        class_names: the name of each class, in the order of the model's outputs.
    """

    inputs: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        assert len(self.inputs) == len(self.labels), (len(self.inputs), len(self.labels))

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> Samples:
        """Return the samples at ``indices`` (int64 or bool of shape [N])."""
        return Samples(self.inputs[indices], self.labels[indices], self.class_names)

    def content_hash(self) -> str:
        """Return the SHA-256 of inputs, labels and class names, as 64 hexadecimal digits."""
        digest = hashlib.sha256(repr((self.inputs.shape, self.inputs.dtype.str, self.class_names)).encode())
        digest.update(np.ascontiguousarray(self.inputs).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()
