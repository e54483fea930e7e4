"""Series with their labels: .ts files, and Parquet with a list column for each channel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from thresher.datasets.frame.frame import Frame
from thresher.datasets.frame.parquet import read_parquet_table
from thresher.datasets.frame.values import as_float64, decode, is_numeric
from thresher.datasets.raw_base import Mistakes, RawSamples, number_places
from thresher.datasets.raw_belonging import BelongingOptions, take_belonging
from thresher.datasets.raw_labels import ClassList, ClassMapping, ClassOptions, LabelOptions, label_samples
from thresher.datasets.raw_rows import parquet_labels
from thresher.datasets.raw_split import SplitOptions
from thresher.datasets.raw_ts import as_objects, read_ts
from thresher.datasets.reader_options import Column, Columns, File, FileOptions
from thresher.errors import DataError, nearest
from thresher.modalities.samples import Samples


class TsSeriesOptions(FileOptions, ClassOptions, SplitOptions):
    """Of `TsSeries`."""

    file: File
    """Relative to `path`. Its header says whether it is a regression (@targetLabel)."""
    class_names: ClassList | ClassMapping | None = None
    """A mapping of label to name, or the names in the order of the labels' numbers from 0; without it those of
    @classLabel."""


class TsSeries(RawSamples[TsSeriesOptions]):
    """A .ts file of the UCR and UEA archives: one channel or many, of equal length or not."""

    options_type = TsSeriesOptions

    def _read(self) -> Samples:
        """Return the series as float64 [T, C] each, NaN where a value is missing."""
        found = read_ts(self.paths[0], self._fix)
        if self.options.classes and not found.class_names:
            raise DataError("class_names: given, but the file has no classes (@targetLabel). Fix: leave them out.")
        class_names = self.options.classes or found.class_names
        named = label_samples(found.labels, class_names or None, not found.class_names, found.places)
        return Samples(found.series, *named, found.places)


class ParquetSeriesOptions(FileOptions, LabelOptions, BelongingOptions):
    """Of `ParquetSeries`."""

    channels: Columns
    """The columns of lists of numbers; in one row all are of one length. Null is a missing value."""
    label: Column = "label"
    """The column to predict."""


class ParquetSeries(RawSamples[ParquetSeriesOptions]):
    """A Parquet file with one series a row: a column of lists for each channel, and one of labels."""

    options_type = ParquetSeriesOptions

    def _read(self) -> Samples:
        (path,), options = self.paths, self.options
        table = read_parquet_table(path, self._fix)
        places = number_places(path, table.num_rows)
        raw = parquet_labels(path, table, options.label)
        columns = dict(zip(table.column_names, table.columns, strict=True))
        values, ends = zip(*(_list_column(path, table, name) for name in options.channels), strict=True)
        mistakes = Mistakes()
        for row, lengths in enumerate(np.stack([np.diff(end) for end in ends], axis=1)):
            if lengths.min() == 0 or lengths.min() != lengths.max():
                what = "a series of length 0" if lengths.min() == 0 else "channels of unequal length"
                told = ", ".join(f"{name} {length}" for name, length in zip(options.channels, lengths, strict=True))
                mistakes.add(path.parent / str(places[row]), f"{what} ({told} steps)", "mend or remove the row.")
        mistakes.refuse()
        steps = np.stack(values, axis=1)
        return Samples(
            as_objects(np.split(steps, ends[0][1:-1])),
            *label_samples(raw, options.classes, options.regression, places, options.missing_values),
            places,
            *take_belonging(Frame(columns, places, path), options, options.missing_values),
            channel_names=tuple(options.channels),
        )


def _list_column(path: Path, table: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return all values of a column of lists, float64, and where each row's begin and the last ends, [N + 1]."""
    import pyarrow as pa

    if name not in table.column_names:
        raise DataError(f"{path}: no column '{name}' (a channel). {nearest(name, table.column_names)}")
    column = decode(table.column(name))
    if not _is_list(column.type) or not is_numeric(column.type.value_type):
        raise DataError(f"{path}: column '{name}' is of type {str(column.type)[:80]}. Fix: lists of numbers.")
    lists = column.cast(pa.large_list(column.type.value_type))
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    values, changed = as_float64(lists.flatten())
    with np.errstate(over="ignore"):
        wrong = np.flatnonzero(changed | np.isinf(values.astype(np.float32)))
    mistakes = Mistakes()
    for step in wrong.tolist():
        row = int(np.searchsorted(ends, step, side="right"))
        told = f"column '{name}' holds {lists.flatten()[step]}, which is infinite, or too large to be held exactly"
        mistakes.add(f"{path}:{row}", told, "mend or remove the row.")
    mistakes.refuse()
    return values, ends


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    views = pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind)
    return views or pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
