"""Tables with a label: CSV, JSON, Parquet, and those that come with scikit-learn."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from thresher.datasets.frame.dates import ISO
from thresher.datasets.raw_base import RawSamples
from thresher.datasets.raw_belonging import BelongingOptions, take_belonging
from thresher.datasets.raw_columns import ColumnTypes, choose_columns, type_columns
from thresher.datasets.raw_labels import LabelOptions, label_samples
from thresher.datasets.raw_rows import NumberOptions, RowOptions, take_column
from thresher.datasets.raw_split import Split, SplitOptions
from thresher.datasets.reader_options import Column, Columns, RefusedError, Says, Share
from thresher.modalities.samples import Samples
from thresher.modalities.tabular.table import Table


def _known_format(form: str) -> str:
    if form != ISO and "%" not in form:
        raise RefusedError(f"'{form}' given", "Fix: iso, or a format such as '%d.%m.%Y' or '%m/%d/%Y %H:%M'.")
    return form


DateFormat = Annotated[str, AfterValidator(_known_format), Says("iso, or a format such as '%d.%m.%Y'")]
Dates = Annotated[dict[Column, DateFormat], Says("a mapping of columns to formats, such as {bought: '%d.%m.%Y'}")]


class TableFileOptions(RowOptions, NumberOptions, LabelOptions, BelongingOptions):
    """Of `TableFile`."""

    label: Column
    """The column to predict."""
    drop: Columns | None = None
    """Columns that are not used. One without a name is called by its number: `column 1`."""
    numeric: Columns | None = None
    """Columns of numbers; without it those where nearly every value is one."""
    categorical: Columns | None = None
    """Columns of categories, also where they hold or look like numbers or dates, or are nearly all distinct."""
    dates: Dates = Field(default={})
    """Columns of dates, each with its format: `iso` for ISO 8601, or one of Python's strptime, such as "%d.%m.%Y". A
    date becomes the number of days since 1970-01-01 UTC, a time of day without a date the part of a day."""


class TableFile(RawSamples[TableFileOptions]):
    """A CSV, JSON or Parquet file of which one column is the label."""

    options_type = TableFileOptions

    def _read(self) -> Samples:
        """Return the rows as a Table, in the order of the columns in the file."""
        (path,), options = self.paths, self.options
        frame = options.read_rows(path, self._fix)
        # What samples are divided by is no feature; the format of its dates may be said all the same.
        dates = {name: form for name, form in options.dates.items() if name != options.order}
        types = ColumnTypes(
            tuple(options.numeric or ()),
            tuple(options.categorical or ()),
            dates,
            options.number_format,
            options.missing_values,
        )
        label = take_column(frame, options.label, "the label", "make it text or numbers.")
        form = options.dates.get(options.order or "", ISO)
        groups, order = take_belonging(frame, options, types.missing, form, options.number_format)
        not_used = (*(options.drop or ()), *options.belonging)
        used = choose_columns(frame, options.label, not_used, types.declared)
        named = label_samples(
            label, options.classes, options.regression, frame.places, types.missing, options.number_format
        )
        return Samples(type_columns(frame, used, types), *named, frame.places, groups, order)


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
