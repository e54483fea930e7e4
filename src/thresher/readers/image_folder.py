"""Reads a folder of images, one folder a class."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import AfterValidator

from thresher.errors import DataError
from thresher.modalities.image.decode import Colour
from thresher.modalities.samples import Samples
from thresher.readers.base import Mistakes, RawSamples
from thresher.readers.frame.values import NOTHING
from thresher.readers.group_and_order import BelongingOptions, belonging_of
from thresher.readers.image_arrays import PictureFileOptions, PictureStack
from thresher.readers.labels import warn_of_spellings
from thresher.readers.options import Folder, RefusedError, Says

SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .jfif .apng .webp .bmp .gif .tif .tiff .heic .heif .avif .jxl .jp2 .svg .ico".split()  # noqa: SIM905
)
"""Suffixes of all files that a person takes for pictures: none of them may be left out without a word."""


def read_image_folder(
    path: Path, size: tuple[int, int] | None, channels: int, background: Colour | None = None
) -> Samples[np.ndarray]:
    """Return the PNG and JPEG files below ``path``; classes are its folders, in the order of their names.

    Hidden files and folders (``.name``, and Thumbs.db and desktop.ini of Windows) are skipped. Samples are in the order
    of class and file name.

    Args:
        size: height and width to resize every image to; None demands one size of all.
        channels: 1 for grey, 3 for RGB.
        background: what transparent pixels are laid upon; None refuses them.

    Raises:
        DataError: nothing there, an empty class, a file that is no readable image, images of several sizes.
    """
    files = _list_files(path)
    class_names = tuple(files)
    warn_of_spellings(files.keys(), path)
    stack = PictureStack(sum(map(len, files.values())), channels, size, background)
    for file in (file for name in class_names for file in files[name]):
        stack.add(file, file)
    labels = np.repeat(np.arange(len(files)), [len(files[name]) for name in class_names])
    places = [str(file.relative_to(path)) for name in class_names for file in files[name]]
    where = np.array(places, dtype=object)
    named = (labels.astype(np.int64), class_names, where)
    return Samples(stack.images, *named, background=background, resized=size is not None)


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


OF_FILE_MANAGERS = {"thumbs.db", "desktop.ini"}
"""What Windows leaves in a folder that somebody has looked at, and does not show."""


def _visible(folder: Path) -> list[Path]:
    """Return what people see in ``folder``, by name."""
    shown = (path for path in folder.iterdir() if path.name[0] != "." and path.name.lower() not in OF_FILE_MANAGERS)
    return sorted(shown, key=lambda path: path.name)


def _finds_one_thing(pattern: str) -> str:
    try:
        count = re.compile(pattern).groups
    except re.error as error:
        raise RefusedError(
            f"{pattern!r} is not a regular expression ({error})", f"Fix: write it like {EXAMPLE}."
        ) from None
    if count != 1:
        raise RefusedError(f"{pattern!r} has {count} pairs of brackets", f"Fix: one pair, as in {EXAMPLE}.")
    return pattern


EXAMPLE = "'/([a-z]+)_'"
Pattern = Annotated[
    str,
    AfterValidator(_finds_one_thing),
    Says(f"a regular expression with one pair of brackets, such as {EXAMPLE}"),
]


class ImageFolderOptions(PictureFileOptions, BelongingOptions):
    """Options of `ImageFolder`."""

    path: Folder
    """The folder that holds one folder a class."""
    group: Pattern | None = None
    """A regular expression whose brackets find, in a picture's path below `path` such as `cat/anna_07.png`, what it
    belongs to: `/([a-z]+)_` finds anna. No group is in train and in test, nor in the part of train that validates."""
    order: Pattern | None = None
    """A regular expression whose brackets find, in a picture's path below `path` such as `cat/2026-11-29_07.png`, a
    number or a date (ISO 8601) that says when it was: `/([0-9-]+)_`. The last ones are the test split, and the last
    ones of train validate, in place of a share of each class."""


class ImageFolder(RawSamples[ImageFolderOptions]):
    """PNG and JPEG files in one folder a class; either a whole split, or to be divided into train and test."""

    options_type = ImageFolderOptions
    modality = "image"

    def _read(self) -> Samples[np.ndarray]:
        """Return the images as uint8 [N, C, H, W]; raises DataError for what ``read_image_folder`` refuses."""
        (path,), options = self.paths, self.options
        samples = read_image_folder(path, options.image_size(), options.channels, options.colour)
        assert samples.places is not None
        names = [Path(place).as_posix() for place in samples.places]
        found = {pattern: _find_in_names(path, pattern, names) for pattern in options.belonging}
        groups, order = belonging_of(found, samples.places, path / "x", options, NOTHING)
        return replace(samples, groups=groups, order=order)


def _find_in_names(path: Path, pattern: str, names: list[str]) -> list[str]:
    """Return what ``pattern`` finds in each of ``names``; raises DataError for those in which it finds nothing."""
    mistakes, found = Mistakes(), []
    for name in names:
        match = re.search(pattern, name)
        if match is None or not match[1]:
            mistakes.add(path / name, f"{pattern!r} finds nothing in its name", "correct the pattern, or rename it.")
        else:
            found.append(match[1])
    mistakes.refuse()
    return found
