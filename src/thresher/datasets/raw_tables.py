"""Tables with a label: CSV, JSON Lines, Parquet, and those that come with scikit-learn."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from thresher.datasets.raw_base import RawSamples
from thresher.datasets.raw_columns import ColumnTypes, type_columns
from thresher.datasets.raw_frame import CsvFormat, CsvOptions, Frame, read_frame, refuse_unreadable
from thresher.datasets.raw_labels import LabelOptions, label_samples
from thresher.datasets.raw_split import Split, SplitOptions
from thresher.datasets.reader_options import Codes, Column, Columns, File, Share, Text
from thresher.errors import DataError
from thresher.modalities.samples import Samples
from thresher.modalities.table import Table


class TableFileOptions(CsvOptions, LabelOptions, SplitOptions):
    """Of `TableFile`."""

    file: File
    """Relative to `path`; .parquet and .jsonl by their suffix, anything else is CSV."""
    label: Column
    """The column to predict."""
    missing: Codes | None = None
    """What a CSV file writes where a value is missing; by default nothing."""
    strip: bool = True
    """Whether blanks around the values of a CSV file are left out."""
    skip_lines_starting_with: Text | None = None
    """What begins a comment in a CSV file."""
    drop: Columns | None = None
    """Columns that are not used."""
    numeric: Columns | None = None
    """Columns of numbers; by default those of a CSV file where every value is one."""
    categorical: Columns | None = None
    """Columns of categories, even where every value is a number."""


class TableFile(RawSamples[TableFileOptions]):
    """A CSV, JSON Lines or Parquet file of which one column is the label."""

    options_type = TableFileOptions

    def _read(self) -> Samples:
        """Return the rows as a Table, in the order of the columns in the file."""
        (path,), options = self.paths, self.options
        form = CsvFormat(
            options.header,
            options.columns,
            options.delimiter,
            options.encoding,
            frozenset({""} if options.missing is None else map(str, options.missing)),
            options.skip_lines_starting_with,
            options.strip,
        )
        frame = read_frame(path, form, self._fix)
        types, drop = ColumnTypes(tuple(options.numeric or ()), tuple(options.categorical or ())), options.drop or ()
        for name in (*drop, *types.numeric, *types.categorical):
            frame.column(name, "in 'drop', 'numeric' or 'categorical' of the catalog")
        raw = frame.column(options.label, "the label")
        used = [name for name in frame.columns if name != options.label and name not in drop]
        if not used:
            raise DataError(f"{path}: no columns besides the label. Fix: drop fewer.")
        refuse_unreadable(frame, [*used, options.label])
        columns = type_columns(Frame({name: frame.columns[name] for name in used}, frame.places, path), types)
        named = label_samples(raw, options.classes, options.regression, frame.places)
        return Samples(Table(columns), *named, frame.places)


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
    """Of `BundledTable`."""

    name: Bundled
    """The table."""
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

    def _read(self) -> Samples:
        from sklearn import datasets

        load, _ = BUNDLED[self.options.name]
        raw = {"scaled": False} if load == "load_diabetes" else {}
        bunch = getattr(datasets, load)(**raw)
        table = Table({str(name): bunch.data[:, number] for number, name in enumerate(bunch.feature_names)})
        if "target_names" not in bunch:
            return Samples(table, bunch.target.astype(np.float64))
        return Samples(table, bunch.target.astype(np.int64), tuple(map(str, bunch.target_names)))
