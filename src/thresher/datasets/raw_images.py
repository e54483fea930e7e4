"""Reads a folder of images, one folder a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from thresher.errors import DataError
from thresher.modalities.image import MODES
from thresher.modalities.samples import Samples

SUFFIXES = (".png", ".jpg", ".jpeg")
MAX_PIXELS = 64_000_000  # a small file can unfold into gigabytes; PIL reads the size before any pixel


def read_image_folder(path: Path, size: tuple[int, int] | None, channels: int) -> Samples:
    """Return the PNG and JPEG files below ``path``; classes are its folders, in the order of their names.

    Hidden files and folders (``.name``) are skipped. Samples are in the order of class and file name.

    Args:
        size: height and width to resize every image to; None demands one size of all.
        channels: 1 for grey, 3 for RGB.

    Raises:
        DataError: nothing there, an empty class, a file that is no readable image, images of several sizes.
    """
    files = _list_files(path)
    class_names = tuple(files)
    images: list[np.ndarray] = []
    labels: list[int] = []
    for label, class_name in enumerate(class_names):
        for file in files[class_name]:
            image = _read_image(file, size, channels)
            if images and image.shape != images[0].shape:
                raise _size_error(file, image, files[class_names[0]][0], images[0])
            images.append(image)
            labels.append(label)
    return Samples(np.stack(images), np.array(labels, dtype=np.int64), class_names)


def _list_files(path: Path) -> dict[str, list[Path]]:
    if not path.is_dir():
        raise DataError(f"{path}: no such folder. Fix: correct the path in the catalog; it holds one folder a class.")
    folders = [entry for entry in _visible(path) if entry.is_dir()]
    loose = [entry for entry in _visible(path) if entry.is_file() and entry.suffix.lower() in SUFFIXES]
    if loose:
        raise DataError(f"{loose[0]}: an image outside of any class. Fix: move it into the folder of its class.")
    if not folders:
        raise DataError(f"{path}: holds no folders. Fix: one folder a class, each with its PNG or JPEG files.")
    files = {folder.name: _visible(folder) for folder in folders}
    for folder in folders:
        if not files[folder.name]:
            raise DataError(f"{folder}: a class without images. Fix: add PNG or JPEG files, or remove the folder.")
    return files


def _visible(folder: Path) -> list[Path]:
    return sorted((entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _read_image(file: Path, size: tuple[int, int] | None, channels: int) -> np.ndarray:
    """Return the image in ``file`` as uint8 [C, H, W]."""
    from PIL import Image

    try:
        with Image.open(file, formats=["PNG", "JPEG"]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f"{file}: {image.width}x{image.height} pixels. Fix: at most {MAX_PIXELS:,} are read.")
            if image.mode.startswith(("I", "F")):
                # PIL cuts such values off at 255 instead of scaling them.
                raise DataError(f"{file}: more than 8 bits a channel ({image.mode}). Fix: convert it to 8 bits.")
            pixels = image.convert(MODES[channels])
            if size is not None:
                pixels = pixels.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    except DataError:
        raise
    except Exception as error:  # a damaged file makes Pillow's parsers raise whatever they stumble on
        raise DataError(f"{file}: not a readable PNG or JPEG file ({error}). Fix: replace or remove it.") from error
    array = np.asarray(pixels)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def _size_error(file: Path, image: np.ndarray, first_file: Path, first: np.ndarray) -> DataError:
    sizes = f"{image.shape[1]}x{image.shape[2]} pixels (height x width), but {first.shape[1]}x{first.shape[2]}"
    return DataError(
        f"{file}: {sizes} in {first_file}. Fix: give 'size: [height, width]' in the catalog to resize all."
    )
