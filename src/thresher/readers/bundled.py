"""Data that comes with scikit-learn, and needs no download."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from thresher.modalities.samples import Samples
from thresher.modalities.tabular.table import Table
from thresher.readers.base import RawSamples
from thresher.readers.options import Share
from thresher.readers.split import Split, SplitOptions

BUNDLED = {
    "breast_cancer": ("load_breast_cancer", ("breast_cancer.csv",)),
    "diabetes": ("load_diabetes", ("diabetes_data_raw.csv.gz", "diabetes_target.csv.gz")),
    "wine": ("load_wine", ("wine_data.csv",)),
}
"""Name -> scikit-learn's function and files."""
Bundled = Literal["breast_cancer", "diabetes", "wine"]


def bundled_files(*names: str) -> tuple[Path, ...]:
    """Return files that come with scikit-learn, without importing it: that takes longer than all that is asked here."""
    (package,) = find_spec("sklearn").submodule_search_locations  # type: ignore[union-attr, misc]
    return tuple(Path(package) / "datasets" / "data" / name for name in names)


class BundledTableOptions(SplitOptions):
    """Options of `BundledTable`."""

    name: Bundled
    """The name of the table."""
    split: Split
    """The part."""
    test_share: Share = 0.2
    """The share (of each class) that goes to test."""

    def find_files(self) -> tuple[Path, ...]:
        """Return the files in scikit-learn."""
        return bundled_files(*BUNDLED[self.name][1])


class BundledTable(RawSamples[BundledTableOptions]):
    """A small table that comes with scikit-learn: diabetes (a regression), breast_cancer, wine; no download."""

    options_type = BundledTableOptions
    modality = "tabular"

    def _read(self) -> Samples[Table]:
        from sklearn import datasets

        load, _ = BUNDLED[self.options.name]
        raw = {"scaled": False} if load == "load_diabetes" else {}
        bunch = getattr(datasets, load)(**raw)
        table = Table({str(name): bunch.data[:, number] for number, name in enumerate(bunch.feature_names)})
        if "target_names" not in bunch:
            return Samples(table, bunch.target.astype(np.float64))
        return Samples(table, bunch.target.astype(np.int64), tuple(map(str, bunch.target_names)))


class BundledDigitsOptions(SplitOptions):
    """Options of `BundledDigits`."""

    split: Split
    """The part."""
    test_share: Share = 0.33
    """The share of each class that goes to test."""

    def find_files(self) -> tuple[Path, ...]:
        """Return the file in scikit-learn."""
        return bundled_files("digits.csv.gz")

    @property
    def known_classes(self) -> tuple[str, ...]:
        """The digits."""
        return tuple(str(digit) for digit in range(10))

    def image_size(self) -> tuple[int, int] | None:
        """Return height and width."""
        return 8, 8


class BundledDigits(RawSamples[BundledDigitsOptions]):
    """The 1,797 hand-written digits that come with scikit-learn: 8x8 grey images, 10 classes, no download."""

    options_type = BundledDigitsOptions
    modality = "image"

    def _read(self) -> Samples[np.ndarray]:
        """Return the digits as uint8 [N, 1, 8, 8]; their 17 grey levels are spread over 0 to 255."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
        return Samples(pixels[:, None], digits.target.astype(np.int64), self.options.known_classes)
