"""Pictures one by one into one array: decoded, checked, and put where they belong, without a second copy of all."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from thresher.datasets.raw_base import Mistakes
from thresher.errors import DataError
from thresher.modalities.image import MODES

MAX_PIXELS = 64_000_000  # a small file can unfold into gigabytes; PIL reads the size before any pixel
FIX_SIZE = "give 'size: [height, width]' in the catalog to resize all."


class PictureStack:
    """Images uint8 [N, C, H, W] that arrive as PNG or JPEG, one after the other."""

    def __init__(self, count: int, channels: int, size: tuple[int, int] | None) -> None:
        """Make room for ``count`` images.

        Args:
            channels: 1 for grey, 3 for RGB.
            size: height and width to resize every image to; None demands one size of all.
        """
        self._count, self._channels, self._size = count, channels, size
        self._images = np.empty((0, channels, 0, 0), np.uint8)
        self._filled = 0
        self._first_place: object = None
        self._mistakes = Mistakes()

    def add(self, source: Path | bytes, place: object) -> None:
        """Decode one image; what is wrong with it is kept for `images`."""
        try:
            image = _decode(source, self._size, self._channels)
        except DataError as error:
            what, _, fix = str(error).partition(" Fix: ")
            self._mistakes.add(place, what.removesuffix("."), fix)
            return
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
            DataError: some are no readable PNG or JPEG, have more than 8 bits a channel, or several sizes.
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


def _decode(source: Path | bytes, size: tuple[int, int] | None, channels: int) -> np.ndarray:
    """Return the image in ``source`` as uint8 [C, H, W]."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=["PNG", "JPEG"]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f"{image.width}x{image.height} pixels. Fix: at most {MAX_PIXELS:,} are read.")
            if image.mode.startswith(("I", "F")):
                # PIL cuts such values off at 255 instead of scaling them.
                raise DataError(f"more than 8 bits a channel ({image.mode}). Fix: convert it to 8 bits.")
            pixels = image.convert(MODES[channels])
            if size is not None:
                pixels = pixels.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    except DataError:
        raise
    except Exception as error:  # a damaged file makes Pillow's parsers raise whatever they stumble on
        raise DataError(f"not a readable PNG or JPEG file ({error}). Fix: replace or remove it.") from error
    array = np.asarray(pixels)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)
