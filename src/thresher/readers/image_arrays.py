"""Pictures one by one into one array: decoded, checked, and put where they belong, without a second copy of all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import AfterValidator

from thresher.machine import require_memory
from thresher.modalities.image.decode import (
    MAX_PIXELS,
    MODES,
    Colour,
    PictureError,
    check_background,
    decode_picture,
)
from thresher.readers.base import Mistakes
from thresher.readers.options import ReaderOptions, RefusedError, Says, Size

FIX_SIZE = "give 'size: [height, width]' in the catalog to resize all."
FIX_MEMORY = "a smaller 'size' or 'channels: 1' in the catalog entry, fewer pictures, or a machine with more memory."
GREY_OR_RGB = "1 for grey or 3 for RGB"


def _grey_or_colour(channels: int) -> int:
    if channels not in MODES:
        raise RefusedError(f"{channels} given", f"Allowed: {GREY_OR_RGB}.")
    return channels


Channels = Annotated[int, AfterValidator(_grey_or_colour), Says(GREY_OR_RGB)]
Background = Annotated[
    Literal["white", "black"] | Annotated[list[Annotated[int, Ge(0), Le(255)]], MinLen(3), MaxLen(3)],
    Says("white, black, or [red, green, blue] as whole numbers from 0 to 255"),
]


class PictureFileOptions(ReaderOptions):
    """How PNG and JPEG files are brought to one form."""

    channels: Channels = 3
    """1 for grey, 3 for RGB."""
    size: Size | None = None
    """Height and width to resize to; without it all images must have one size."""
    background: Background | None = None
    """What transparent pixels are laid upon; without it such pictures are refused."""

    @property
    def colour(self) -> Colour | None:
        """`background` in red, green, blue."""
        return check_background(self.background)

    def image_size(self) -> tuple[int, int] | None:
        """Return `size` as a pair."""
        return None if self.size is None else (self.size[0], self.size[1])


def room_for(count: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array uint8 [``count``, *``shape``] for pictures of ``shape`` [C, H, W], with anything in it.

    Raises:
        DataError: there is not so much memory; numpy would give it, and the system end the process later.
    """
    channels, height, width = shape
    what = f"{count:,} pictures of {height}x{width} pixels (height x width) and {channels} channels"
    require_memory(count * channels * height * width, what, FIX_MEMORY)
    return np.empty((count, *shape), np.uint8)


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
            self._images = room_for(self._count, image.shape)
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
