"""Raw data as Kedro datasets, each loading ``Samples``; read-only.

Kedro makes a catalog's relative ``path`` absolute from the project's folder, and no other key of ours, so every file
is named relative to ``path``. An error in the data is a ``DataError``; Kedro wraps it in its ``DatasetError``, whose
``__cause__`` it is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from thresher.datasets.raw_base import RawSamples
from thresher.datasets.raw_idx import read_idx
from thresher.datasets.raw_image_files import ImageSheets, NpzImages, ParquetImages
from thresher.datasets.raw_images import read_image_folder
from thresher.datasets.raw_labels import ClassList
from thresher.datasets.raw_pictures import PictureFileOptions
from thresher.datasets.raw_series import ParquetSeries, TsSeries
from thresher.datasets.raw_split import Split, SplitOptions
from thresher.datasets.raw_tables import BundledTable, TableFile, bundled_files
from thresher.datasets.raw_texts import LabeledLines, TextTable
from thresher.datasets.reader_options import File, Folder, ReaderOptions, Share
from thresher.errors import DataError
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


class IdxImagesOptions(ReaderOptions):
    """Of `IdxImages`."""

    images: File
    """The file of images, relative to `path`."""
    labels: File
    """The file of labels, relative to `path`."""
    class_names: ClassList
    """The name of class 0, 1, ..."""

    def find_files(self) -> tuple[Path, ...]:
        """Return both files."""
        return self.below_path([self.images, self.labels])


class IdxImages(RawSamples[IdxImagesOptions]):
    """Images and labels in two IDX files, gzip or plain: MNIST, Fashion-MNIST, KMNIST and their kin."""

    options_type = IdxImagesOptions

    def _read(self) -> Samples:
        """Return the images as uint8 [N, 1, H, W] with their labels.

        Raises:
            DataError: a missing or damaged file, unequal counts, a label without a class name.
        """
        images_file, labels_file = self.paths
        class_names = tuple(map(str, self.options.class_names))
        images, labels = read_idx(images_file, 3, self._fix), read_idx(labels_file, 1, self._fix)
        if len(images) != len(labels):
            counts = f"{len(images):,} images in {images_file}, but {len(labels):,} labels in {labels_file}"
            raise DataError(f"{counts}. Fix: name two files of the same split in the catalog.")
        if not images.size:
            raise DataError(f"{images_file}: holds no images. Fix: {self._fix}")
        wrong = np.flatnonzero(labels >= len(class_names))
        if len(wrong):
            raise DataError(
                f"{labels_file}: label {labels[wrong[0]]} of sample {wrong[0]} has no class name ({len(wrong):,} such "
                f"labels; class_names has {len(class_names)}). Fix: complete class_names in the catalog."
            )
        return Samples(images[:, None], labels.astype(np.int64), class_names)


class ImageFolderOptions(PictureFileOptions, SplitOptions):
    """Of `ImageFolder`."""

    path: Folder
    """The folder that holds one folder a class."""


class ImageFolder(RawSamples[ImageFolderOptions]):
    """PNG and JPEG files in one folder a class; either a whole split, or to be divided into train and test."""

    options_type = ImageFolderOptions

    def _read(self) -> Samples:
        """Return the images as uint8 [N, C, H, W]; raises DataError for what ``read_image_folder`` refuses."""
        (path,), options = self.paths, self.options
        return read_image_folder(path, options.height_and_width, options.channels, options.colour)


class BundledDigitsOptions(SplitOptions):
    """Of `BundledDigits`."""

    split: Split
    """The part."""
    test_share: Share = 0.33
    """The share of each class that goes to test."""

    def find_files(self) -> tuple[Path, ...]:
        """Return the file in scikit-learn."""
        return bundled_files("digits.csv.gz")


class BundledDigits(RawSamples[BundledDigitsOptions]):
    """The 1,797 hand-written digits that come with scikit-learn: 8x8 grey images, 10 classes, no download."""

    options_type = BundledDigitsOptions

    def _read(self) -> Samples:
        """Return the digits as uint8 [N, 1, 8, 8]; their 17 grey levels are spread over 0 to 255."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
        return Samples(pixels[:, None], digits.target.astype(np.int64), tuple(str(digit) for digit in range(10)))
