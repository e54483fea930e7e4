"""Reads IDX, the format of MNIST and its kin: http://yann.lecun.com/exdb/mnist (section "FILE FORMATS")."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from thresher.errors import DataError
from thresher.files import read_bytes
from thresher.modalities.samples import Samples
from thresher.readers.base import RawSamples
from thresher.readers.labels import ClassList
from thresher.readers.options import File
from thresher.readers.split import DuplicateOptions

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08


def read_idx(path: Path, num_dimensions: int, fix_missing: str) -> np.ndarray:
    """Return the unsigned bytes in the IDX file at ``path``, gzip or plain, as uint8 of ``num_dimensions`` axes.

    Args:
        fix_missing: the fix for a user who does not have the file.

    Raises:
        DataError: missing or truncated file, wrong magic number, other type or number of dimensions, wrong length.
    """
    content = _read(path, fix_missing)
    if len(content) < 4 or content[:2] != b"\x00\x00":
        start = content[:4].hex(" ") or "nothing"
        raise DataError(f"{path}: not an IDX file: it starts with {start}, expected 00 00. Fix: {fix_missing}")
    kind, found = content[2], content[3]
    if kind != UNSIGNED_BYTE:
        raise DataError(f"{path}: IDX type 0x{kind:02x}. Fix: only unsigned bytes (0x08) are images or class labels.")
    if found != num_dimensions:
        raise DataError(
            f"{path}: {found} dimensions, expected {num_dimensions}. "
            "Fix: images have 3 (sample, row, column), labels 1; are the two entries swapped in the catalog?"
        )
    header = 4 + 4 * num_dimensions
    if len(content) < header:
        raise DataError(f"{path}: truncated within its header. Fix: {fix_missing}")
    shape = struct.unpack(f">{num_dimensions}I", content[4:header])
    expected = header + math.prod(shape)
    if len(content) != expected:
        sizes = " x ".join(str(size) for size in shape)
        raise DataError(f"{path}: {len(content):,} bytes, but {expected:,} by its header ({sizes}). Fix: {fix_missing}")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def _read(path: Path, fix_missing: str) -> bytes:
    content = read_bytes(path, fix_missing)
    try:
        return gzip.decompress(content) if content.startswith(GZIP_MAGIC) else content
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: truncated or damaged gzip ({error}). Fix: {fix_missing}") from error


class IdxImagesOptions(DuplicateOptions):
    """Options of `IdxImages`."""

    images: File
    """The file of images, relative to `path`."""
    labels: File
    """The file of labels, relative to `path`."""
    class_names: ClassList
    """The name of class 0, 1, ..."""

    def find_files(self) -> tuple[Path, ...]:
        """Return both files."""
        return self.below_path([self.images, self.labels])

    def image_size(self) -> tuple[int, int] | None:
        """Return height and width, which the header of the file says."""
        path, _ = self.find_files()
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(16)
        height, width = struct.unpack(">2I", head[8:])
        return height, width


class IdxImages(RawSamples[IdxImagesOptions]):
    """Images and labels in two IDX files, gzip or plain: MNIST, Fashion-MNIST, KMNIST and their kin."""

    options_type = IdxImagesOptions
    modality = "image"

    def _read(self) -> Samples[np.ndarray]:
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
