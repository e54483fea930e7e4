"""Tables with a label: CSV, JSON Lines, Parquet, and those that come with scikit-learn."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from thresher.datasets.raw_base import RawSamples, describe_arguments, fix_missing
from thresher.datasets.raw_columns import ColumnTypes, type_columns
from thresher.datasets.raw_frame import CsvFormat, Frame, read_frame, refuse_unreadable
from thresher.datasets.raw_labels import check_class_names, label_samples
from thresher.datasets.raw_split import Split, check_split
from thresher.errors import DataError, nearest
from thresher.modalities.samples import Samples
from thresher.modalities.table import Table


class TableFile(RawSamples):
    """A CSV, JSON Lines or Parquet file of which one column is the label."""

    def __init__(
        self,
        *,
        file: str,
        label: str,
        path: str = ".",
        columns: list[str] | None = None,
        header: bool = True,
        delimiter: str = ",",
        encoding: str = "utf-8",
        missing: list[str] | None = None,
        strip: bool = True,
        skip_lines_starting_with: str | None = None,
        drop: list[str] | None = None,
        numeric: list[str] | None = None,
        categorical: list[str] | None = None,
        class_names: list[str] | dict[str, str] | None = None,
        regression: bool = False,
        split: Split | None = None,
        test_share: float | None = None,
        seed: int = 0,
        fetch: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Name the file and its columns; nothing is read yet.

        Args:
            file: relative to ``path``; .parquet and .jsonl by their suffix, anything else is CSV.
            label: the column to predict.
            path: the file's folder; Kedro makes it absolute from the project's folder.
            columns: the names of the columns of a CSV file, in place of those in its header.
            header: whether a CSV file begins with the names of its columns.
            delimiter: between the values of a CSV file; "\\t" for tabs.
            encoding: of a text file.
            missing: what a CSV file writes where a value is missing; by default nothing: [""].
            strip: whether blanks around the values of a CSV file are left out.
            skip_lines_starting_with: what begins a comment in a CSV file.
            drop: columns that are not used.
            numeric: columns of numbers; by default those of a CSV file where every value is one.
            categorical: columns of categories, even where every value is a number.
            class_names: a list (labels name or count them), a mapping of label to name, by which two spellings can be
                one class, or None for those found.
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
        codes = frozenset({""} if missing is None else map(str, missing))
        self._format = CsvFormat(header, columns, delimiter, encoding, codes, skip_lines_starting_with, strip)
        self._label, self._regression, self._drop = label, regression, tuple(drop or ())
        self._types = ColumnTypes(tuple(numeric or ()), tuple(categorical or ()))
        self._class_names, self._fix = check_class_names(class_names, regression), fix_missing(fetch)
        self._choose_part(split, test_share, seed)

    def _read(self) -> Samples:
        """Return the rows as a Table, in the order of the columns in the file."""
        (path,) = self.paths
        frame = read_frame(path, self._format, self._fix)
        for name in (*self._drop, *self._types.numeric, *self._types.categorical):
            frame.column(name, "in 'drop', 'numeric' or 'categorical' of the catalog")
        raw = frame.column(self._label, "the label")
        used = [name for name in frame.columns if name != self._label and name not in self._drop]
        if not used:
            raise DataError(f"{path}: no columns besides the label. Fix: drop fewer.")
        refuse_unreadable(frame, [*used, self._label])
        columns = type_columns(Frame({name: frame.columns[name] for name in used}, frame.places, path), self._types)
        named = label_samples(raw, self._class_names, self._regression, frame.places)
        return Samples(Table(columns), *named, frame.places)


BUNDLED = {
    "breast_cancer": ("load_breast_cancer", ("breast_cancer.csv",)),
    "diabetes": ("load_diabetes", ("diabetes_data_raw.csv.gz", "diabetes_target.csv.gz")),
    "wine": ("load_wine", ("wine_data.csv",)),
}
"""Name -> scikit-learn's function and files."""


class BundledTable(RawSamples):
    """A small table that comes with scikit-learn: diabetes (a regression), breast_cancer, wine; no download."""

    def __init__(
        self,
        *,
        name: str,
        split: Split,
        test_share: float = 0.2,
        seed: int = 0,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Choose the table and the part; raises DataError for arguments out of range."""
        if name not in BUNDLED:
            raise DataError(f"name: '{name}' given. {nearest(name, BUNDLED)}")
        check_split(split, test_share)
        self._arguments = describe_arguments(locals())
        self._load_name, files = BUNDLED[name]
        # Found without importing scikit-learn, which takes longer than all that is asked of these paths.
        (package,) = find_spec("sklearn").submodule_search_locations  # type: ignore[union-attr, misc]
        self.paths = tuple(Path(package) / "datasets" / "data" / file for file in files)
        self._choose_part(split, test_share, seed)

    def _read(self) -> Samples:
        from sklearn import datasets

        raw = {"scaled": False} if self._load_name == "load_diabetes" else {}
        bunch = getattr(datasets, self._load_name)(**raw)
        table = Table({str(name): bunch.data[:, number] for number, name in enumerate(bunch.feature_names)})
        if "target_names" not in bunch:
            return Samples(table, bunch.target.astype(np.float64))
        return Samples(table, bunch.target.astype(np.int64), tuple(map(str, bunch.target_names)))
