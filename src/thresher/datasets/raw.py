"""Raw data as Kedro datasets, each loading ``Samples``; read-only.

Kedro makes a catalog's relative ``path`` absolute from the project's folder, and no other key of ours, so every file
is named relative to ``path``. An error in the data is a ``DataError``; Kedro wraps it in its ``DatasetError``, whose
``__cause__`` it is.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from thresher.datasets.raw_base import RawSamples, describe_arguments, fix_missing
from thresher.datasets.raw_idx import read_idx
from thresher.datasets.raw_image_files import ImageSheets, NpzImages, ParquetImages
from thresher.datasets.raw_images import read_image_folder
from thresher.datasets.raw_pictures import check_picture_arguments
from thresher.datasets.raw_series import ParquetSeries, TsSeries
from thresher.datasets.raw_split import Split, check_split
from thresher.datasets.raw_tables import BundledTable, TableFile
from thresher.datasets.raw_texts import LabeledLines, TextTable
from thresher.errors import DataError
from thresher.modalities.picture import check_background
from thresher.modalities.samples import Samples

__all__ = [
    "BundledDigits",
    "BundledTable",
    "IdxImages",
    "ImageFolder",
    "ImageSheets",
    "LabeledLines",
    "NpzImages",
    "ParquetImages",
    "ParquetSeries",
    "TableFile",
    "TextTable",
    "TsSeries",
]


class IdxImages(RawSamples):
    """Images and labels in two IDX files, gzip or plain: MNIST, Fashion-MNIST, KMNIST and their kin."""

    def __init__(
        self,
        *,
        images: str,
        labels: str,
        class_names: list[str],
        path: str = ".",
        fetch: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Name the files; nothing is read yet.

        Args:
            images: the file of images, relative to ``path``.
            labels: the file of labels, relative to ``path``.
            class_names: the name of class 0, 1, ...
            path: the folder of both files; Kedro makes it absolute from the project's folder.
            fetch: the name by which ``thresher fetch`` knows this data, for the hint when a file is missing.
            metadata: ignored here; Kedro's plugins read it.
        """
        self._images, self._labels = self.paths = (Path(path) / images, Path(path) / labels)
        self._class_names = tuple(str(name) for name in class_names)
        self._fix = fix_missing(fetch)
        self._arguments = {"images": str(self._images), "labels": str(self._labels)}

    def _read(self) -> Samples:
        """Return the images as uint8 [N, 1, H, W] with their labels.

        Raises:
            DataError: a missing or damaged file, unequal counts, a label without a class name.
        """
        images, labels = read_idx(self._images, 3, self._fix), read_idx(self._labels, 1, self._fix)
        if len(images) != len(labels):
            counts = f"{len(images):,} images in {self._images}, but {len(labels):,} labels in {self._labels}"
            raise DataError(f"{counts}. Fix: name two files of the same split in the catalog.")
        if not images.size:
            raise DataError(f"{self._images}: holds no images. Fix: {self._fix}")
        wrong = np.flatnonzero(labels >= len(self._class_names))
        if len(wrong):
            raise DataError(
                f"{self._labels}: label {labels[wrong[0]]} of sample {wrong[0]} has no class name ({len(wrong):,} such "
                f"labels; class_names has {len(self._class_names)}). Fix: complete class_names in the catalog."
            )
        return Samples(images[:, None], labels.astype(np.int64), self._class_names)

    def _exists(self) -> bool:
        return self._images.is_file() and self._labels.is_file()


class ImageFolder(RawSamples):
    """PNG and JPEG files in one folder a class; either a whole split, or to be divided into train and test."""

    def __init__(
        self,
        *,
        path: str,
        channels: int = 3,
        size: list[int] | None = None,
        background: str | list[int] | None = None,
        split: Split | None = None,
        test_share: float | None = None,
        seed: int = 0,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Name the folder; nothing is read yet.

        Args:
            path: the folder that holds one folder a class.
            channels: 1 for grey, 3 for RGB.
            size: height and width to resize to; without it all images must have one size.
            background: white, black or [red, green, blue]: what transparent pixels are laid upon; by default such
                files are refused.
            split: "train" or "test", together with ``test_share``; None takes all.
            test_share: the share of each class that goes to test.
            seed: of the split; the same in the entries of train and test.
            metadata: ignored here; Kedro's plugins read it.

        Raises:
            DataError: arguments out of range.
        """
        self._arguments = describe_arguments(locals())
        self._path, self._channels, self._size = Path(path), channels, check_picture_arguments(channels, size)
        self._background = check_background(background)
        self.paths = (self._path,)
        self._choose_part(split, test_share, seed)

    def _read(self) -> Samples:
        """Return the images as uint8 [N, C, H, W]; raises DataError for what ``read_image_folder`` refuses."""
        return read_image_folder(self._path, self._size, self._channels, self._background)

    def _exists(self) -> bool:
        return self._path.is_dir()


class BundledDigits(RawSamples):
    """The 1,797 hand-written digits that come with scikit-learn: 8x8 grey images, 10 classes, no download."""

    def __init__(
        self,
        *,
        split: Split,
        test_share: float = 0.33,
        seed: int = 0,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Choose the part; raises DataError for arguments out of range. ``metadata`` is for Kedro's plugins."""
        check_split(split, test_share)
        self._arguments = describe_arguments(locals())
        self._choose_part(split, test_share, seed)
        # Found without importing scikit-learn, which takes longer than all that is asked of these paths.
        (package,) = find_spec("sklearn").submodule_search_locations  # type: ignore[union-attr, misc]
        self.paths = (Path(package) / "datasets" / "data" / "digits.csv.gz",)

    def _read(self) -> Samples:
        """Return the digits as uint8 [N, 1, 8, 8]; their 17 grey levels are spread over 0 to 255."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
        return Samples(pixels[:, None], digits.target.astype(np.int64), tuple(str(digit) for digit in range(10)))
