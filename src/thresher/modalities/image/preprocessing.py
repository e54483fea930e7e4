"""What a pretrained model does to a picture before its network: resized and cropped here, normalized in the graph."""

from __future__ import annotations

from typing import Literal

import numpy as np

from thresher.config import Config
from thresher.errors import InvalidInputError

Pair = tuple[int, int]
"""Height and width."""
MAX_RESIZED = 64_000_000
"""Pixels of a picture while it is resized to the model's shortest edge: of one that is very wide, much is cut away."""


class Preprocessing(Config):
    """The steps of transformers' image processors (Pillow), in their order."""

    channels: Literal[1, 3]
    """That the network takes; a grey picture is repeated for three."""
    size: Pair | None = None
    """Height and width that a picture is resized to, whatever its sides."""
    shortest_edge: int | None = None
    """The length that the shorter side is resized to, the longer one in proportion."""
    resample: Literal[0, 1, 2, 3, 4, 5] = 2
    """Pillow's number of the filter: nearest, Lanczos, bilinear, bicubic, box or Hamming."""
    crops: tuple[Pair, ...] = ()
    """Height and width that are cut out of the middle, one after the other; what is smaller gets a black border."""
    mean: tuple[float, ...]
    """Of each channel, in 0..255; subtracted inside of the graph."""
    std: tuple[float, ...]
    """Of each channel, in 0..255; divided by inside of the graph."""

    @property
    def made(self) -> Pair:
        """Height and width of what the network takes."""
        made = self.crops[-1] if self.crops else self.size
        assert made is not None, "a processor that leaves the size open is refused"
        return made

    def resized(self, height: int, width: int) -> Pair:
        """Return what a picture of that height and width is resized to."""
        if self.size is not None:
            return self.size
        if self.shortest_edge is None:
            return height, width
        longer = int(self.shortest_edge * max(height, width) / min(height, width))
        return (self.shortest_edge, longer) if height <= width else (longer, self.shortest_edge)

    def apply(self, picture_HWC: np.ndarray) -> np.ndarray:
        """Return a picture, uint8 [H, W, C] with C of 1 or 3, as the network takes it: uint8 [channels, *made].

        Raises:
            InvalidInputError: a picture so narrow that its longer side would become too long.
        """
        from PIL import Image

        height, width = picture_HWC.shape[:2]
        new_height, new_width = self.resized(height, width)
        if new_height * new_width > max(MAX_RESIZED, height * width):
            raise InvalidInputError(
                f"A picture of {height}x{width} (height x width) pixels would be resized to {new_height:,}x"
                f"{new_width:,}. Fix: cut it; up to {MAX_RESIZED:,} pixels are made."
            )
        if self.size is not None or self.shortest_edge is not None:
            image = Image.fromarray(picture_HWC[..., 0] if picture_HWC.shape[2] == 1 else picture_HWC)
            picture_HWC = np.asarray(image.resize((new_width, new_height), Image.Resampling(self.resample)))
            picture_HWC = picture_HWC.reshape(new_height, new_width, -1)
        for crop in self.crops:
            picture_HWC = _crop(picture_HWC, crop)
        picture_CHW = picture_HWC.transpose(2, 0, 1)
        return np.ascontiguousarray(np.broadcast_to(picture_CHW, (self.channels, *picture_CHW.shape[1:])))

    def window(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Return top, left, height and width of what the network sees of a picture of that size, in its pixels."""
        resized = self.resized(height, width)
        scales = [side / new for side, new in zip((height, width), resized, strict=True)]
        starts = [(new - made) // 2 * scale for new, made, scale in zip(resized, self.made, scales, strict=True)]
        sides = [made * scale for made, scale in zip(self.made, scales, strict=True)]
        return starts[0], starts[1], sides[0], sides[1]


def _crop(picture_HWC: np.ndarray, size: Pair) -> np.ndarray:
    """Return the middle of a picture, with zeros around it where it is smaller, rounded as transformers rounds."""
    cropped = np.zeros((*size, picture_HWC.shape[2]), picture_HWC.dtype)
    places = [_overlap(have, wanted) for have, wanted in zip(picture_HWC.shape[:2], size, strict=True)]
    (from_rows, to_rows), (from_columns, to_columns) = places
    cropped[to_rows, to_columns] = picture_HWC[from_rows, from_columns]
    return cropped


def _overlap(have: int, wanted: int) -> tuple[slice, slice]:
    """Return what of a side of ``have`` pixels stays, and where it comes in one of ``wanted``."""
    start = (have - wanted) // 2
    if start >= 0:
        return slice(start, start + wanted), slice(0, wanted)
    return slice(0, have), slice(-start, have - start)  # the border before it is the wider one
