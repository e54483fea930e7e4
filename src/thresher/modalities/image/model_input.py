"""What a model of images takes."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from thresher.modalities.model_input import ModelInput


class ImageInput(ModelInput):
    """Pixels, uint8 [N, C, H, W]; normalized inside the graph."""

    name: ClassVar[str] = "image"
    dtype: ClassVar[np.dtype] = np.dtype(np.uint8)
    SCALE: ClassVar[float] = 1 / 255
    kind: Literal["image"] = "image"
    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    """The mean of each channel over the training split, in 0..255."""
    std: tuple[float, ...]

    @classmethod
    def probes(cls) -> tuple[ImageInput, ImageInput]:
        return (
            cls(channels=1, height=32, width=32, mean=(0.0,), std=(1.0,)),
            cls(channels=3, height=64, width=64, mean=(0.0,) * 3, std=(1.0,) * 3),
        )

    @property
    def longest(self) -> tuple[int, ...]:
        return (self.channels, self.height, self.width)
