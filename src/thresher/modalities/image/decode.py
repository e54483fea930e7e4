"""The one decoder of PNG and JPEG, for the readers of raw data and for the service: pixels as a viewer shows them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thresher.errors import DataError, InvalidInputError

if TYPE_CHECKING:
    from PIL import Image

Colour = tuple[int, int, int]

MODES = {1: "L", 3: "RGB"}
FORMATS = ("PNG", "JPEG")
NAMED = {"white": (255, 255, 255), "black": (0, 0, 0)}
ORIENTATION = 0x0112
"""The EXIF tag that says how the camera was held: https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf,
section 4.6.4."""
MAX_PIXELS = 64_000_000
"""Of a file whose size is free: a small one can unfold into gigabytes."""
PNG_DEPTH = 24
"""The place of the byte that says how many bits a channel has: https://www.w3.org/TR/png-3/#11IHDR."""
OTHER_FORMATS = {
    b"GIF8": "GIF", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"RIFF": "WebP", b"\0\0\x01\0": "icon",
    b"%PDF": "PDF", b"<svg": "SVG", b"<?xml": "XML or SVG", b"8BPS": "Photoshop", b"\xff\x0a": "JPEG XL",
}  # fmt: skip
"""First bytes -> what a person calls such a file."""


class PictureError(InvalidInputError):
    """A file that is no picture that may be read; its text says what it is and what to do."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what}. Fix: {fix}")
        self.what, self.fix = what, fix

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        # Exceptions with their own signature must say how to cross a process border (ParallelRunner).
        return (type(self), (self.what, self.fix))


def check_background(background: Any) -> Colour | None:
    """Return the colour that a catalog entry names as ``background``: white, black or [red, green, blue].

    Raises:
        DataError: anything else.
    """
    if background is None:
        return None
    if isinstance(background, str) and background in NAMED:
        return NAMED[background]
    if isinstance(background, (list, tuple)) and len(background) == 3:
        red, green, blue = background
        if all(type(part) is int and 0 <= part <= 255 for part in background):
            return (red, green, blue)
    fix = "white, black, or [red, green, blue] as whole numbers from 0 to 255"
    raise DataError(f"background: {background!r} given. Fix: {fix}.")


def decode_picture(
    source: Path | bytes,
    channels: int,
    background: Colour | None,
    *,
    max_pixels: int,
    exact: tuple[int, int] | None = None,
    resize: tuple[int, int] | None = None,
) -> np.ndarray:
    """Return the picture in ``source`` as uint8 [H, W, C], as a viewer shows it.

    It is turned as its EXIF orientation says, and laid upon ``background`` where it is transparent. Colour profiles
    and gamma are not applied; CMYK becomes RGB without them. More than 8 bits a channel are read for RGB as their
    upper 8, as viewers do, and refused for grey.

    Args:
        channels: 1 for grey, 3 for RGB.
        background: None refuses a picture of which a pixel is not opaque.
        max_pixels: more are refused before any is decoded, since a small file can unfold into gigabytes.
        exact: the height and width that the picture must have, once it is turned.
        resize: the height and width that it is given.

    Raises:
        PictureError: no readable PNG or JPEG, animated, transparent without a background, too large or too deep.
    """
    from PIL import Image

    content = source if isinstance(source, bytes) else _read(source)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_header(image, max_pixels, exact)
            _scale_transparent_colour(image, content)
            turned = _turn(image, _orientation(image))
            if exact is not None and (turned.height, turned.width) != exact:
                raise _wrong_size(turned)
            pixels = _opaque(turned, background).convert(MODES[channels])
    except PictureError:
        raise
    except Exception as error:  # a damaged file makes Pillow's parsers raise whatever they stumble on
        raise _unreadable(content, error) from error
    if resize is not None:
        pixels = pixels.resize((resize[1], resize[0]), Image.Resampling.BILINEAR)
    array = np.asarray(pixels)
    return array[..., None] if channels == 1 else array


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except IsADirectoryError as error:
        raise PictureError("a folder within the folder of a class", "move its pictures up, or remove it.") from error
    except OSError as error:
        raise PictureError(str(error.strerror or error), "make it a readable file.") from error


def _scale_transparent_colour(image: Any, content: bytes) -> None:
    """Bring the one transparent colour of a PNG without alpha to the 8 bits that Pillow brings its pixels to."""
    depth, colour = content[PNG_DEPTH], image.info.get("transparency")
    if image.format != "PNG" or colour is None or image.mode not in ("L", "RGB"):
        return
    if depth > 8:  # many colours become one in their upper 8 bits, and all of them would be transparent
        raise PictureError("a transparent colour in more than 8 bits", "save it with an alpha channel.")
    if depth < 8 and image.mode == "L":
        image.info["transparency"] = colour * 255 // (2**depth - 1)


def _check_header(image: Any, max_pixels: int, exact: tuple[int, int] | None) -> None:
    """Refuse what the header alone shows."""
    size = (image.height, image.width)
    if exact is not None and exact not in (size, size[::-1]):
        raise _wrong_size(image)
    if image.height * image.width > max_pixels:
        raise PictureError(f"{image.width}x{image.height} pixels", f"at most {max_pixels:,} are read.")
    # A photograph with a second picture inside (MPO: a preview, a depth map) is no animation: viewers show the first.
    if image.format == "PNG" and getattr(image, "n_frames", 1) > 1:
        frames = f"an animation of {image.n_frames} pictures"
        raise PictureError(frames, "write the one that is meant as a file of its own.")
    if image.mode.startswith(("I", "F")):  # Pillow would clip these at 255, not scale them
        raise PictureError(f"more than 8 bits a channel (mode {image.mode})", "convert it to 8 bits.")


def _wrong_size(image: Image.Image) -> PictureError:
    size = f"Image of {image.height}x{image.width} (height x width) pixels"
    return PictureError(size, "send it in the size that is expected.")


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where there is none that can be read, as viewers take it."""
    image.load()  # the EXIF of a PNG may stand behind its pixels
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # Pillow's parser of a damaged block raises whatever it stumbles on
        return 1


def _turn(image: Image.Image, orientation: int) -> Image.Image:
    # Not ImageOps.exif_transpose: it also writes the whole EXIF anew, and raises for tags that it cannot write.
    from PIL.Image import Transpose

    how = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation)
    if how is None:
        return image
    turned = image.transpose(how)
    turned.info = image.info  # the transparent colour among it
    return turned


def _opaque(image: Image.Image, background: Colour | None) -> Image.Image:
    """Return ``image`` without transparency."""
    from PIL import Image

    if not image.has_transparency_data:
        return image
    layered = image.convert("RGBA")
    lowest, _ = layered.getchannel("A").getextrema()
    if lowest == 255:
        return layered.convert("RGB")
    if background is None:
        raise PictureError(
            "pixels that are not opaque, and no background is declared",
            "write 'background: white' (or black, or [red, green, blue]) in the catalog entries of train and test, "
            "or save it without transparency.",
        )
    below = Image.new("RGBA", layered.size, (*background, 255))
    return Image.alpha_composite(below, layered).convert("RGB")


def _unreadable(content: bytes, error: Exception) -> PictureError:
    convert = "convert it to PNG or JPEG, or remove it."
    if content[4:8] == b"ftyp":
        return PictureError("a HEIC, AVIF or video file, not a PNG or JPEG", convert)
    for first, name in OTHER_FORMATS.items():
        if content.startswith(first):
            return PictureError(f"a file of type {name}, not a PNG or JPEG", convert)
    what = "not a readable PNG or JPEG file"
    if not content:
        what = f"{what} (empty)"
    elif type(error).__name__ != "UnidentifiedImageError":  # which names an address in memory
        what = f"{what} ({error})"
    return PictureError(what, "replace or remove it.")


def encode_png(pixels: np.ndarray) -> bytes:
    """Return ``pixels``, uint8 [H, W] or [H, W, 3], as a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
