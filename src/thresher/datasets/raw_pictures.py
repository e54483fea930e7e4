"""Pictures one by one into one array: decoded, checked, and put where they belong, without a second copy of all."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from thresher.datasets.raw_base import Mistakes
from thresher.errors import DataError
from thresher.modalities.picture import MODES, Colour, PictureError, decode_picture

MAX_PIXELS = 64_000_000  # a small file can unfold into gigabytes; PIL reads the size before any pixel
FIX_SIZE = "give 'size: [height, width]' in the catalog to resize all."


class PictureStack:
    """Images uint8 [N, C, H, W] that arrive as PNG or JPEG, one after the other."""

    def __init__(
        self, count: int, channels: int, size: tuple[int, int] | None, background: Colour | None = None
    ) -> None:
        """Make room for ``count`` images.

        Args:
            channels: 1 for grey, 3 for RGB.
            size: height and width to resize every image to; None demands one size of all.
            background: what transparent pixels are laid upon; None refuses them.
        """
        self._count, self._channels, self._size, self._background = count, channels, size, background
        self._images = np.empty((0, channels, 0, 0), np.uint8)
        self._filled = 0
        self._first_place: object = None
        self._mistakes = Mistakes()

    def add(self, source: Path | bytes, place: object) -> None:
        """Decode one image; what is wrong with it is kept for `images`."""
        try:
            pixels = decode_picture(source, self._channels, self._background, max_pixels=MAX_PIXELS, resize=self._size)
        except PictureError as error:
            self._mistakes.add(place, error.what, error.fix)
            return
        image = pixels.transpose(2, 0, 1)
        if self._first_place is None:
            self._first_place = place
            self._images = np.empty((self._count, *image.shape), np.uint8)
        if image.shape != self._images.shape[1:]:
            height, width = self._images.shape[2:]
            sizes = f"{image.shape[1]}x{image.shape[2]} pixels (height x width), but {height}x{width}"
            self._mistakes.add(place, f"{sizes} in {self._first_place}", FIX_SIZE)
            return
        self._images[self._filled] = image
        self._filled += 1

    @property
    def images(self) -> np.ndarray:
        """All images.

        Raises:
            DataError: some are no readable PNG or JPEG, transparent without a background, or of several sizes.
        """
        self._mistakes.refuse()
        assert self._filled == self._count
        return self._images


def check_picture_arguments(channels: int, size: list[int] | None) -> tuple[int, int] | None:
    """Return ``size`` as height and width; raises DataError for channels or a size that cannot be."""
    if channels not in MODES:
        raise DataError(f"channels: {channels} given. Fix: 1 for grey or 3 for RGB.")
    if size is None:
        return None
    if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise DataError(f"size: {size} given. Fix: [height, width], whole numbers from 1.")
    return size[0], size[1]
