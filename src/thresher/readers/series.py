"""Series with their labels: .ts files, and Parquet with a list column for each channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from thresher.errors import DataError
from thresher.modalities.samples import Samples
from thresher.readers.base import Mistakes, RawSamples
from thresher.readers.frame.frame import Frame
from thresher.readers.frame.parquet import read_parquet
from thresher.readers.frame.values import NOTHING, as_float64, decode, is_numeric
from thresher.readers.group_and_order import BelongingOptions, SideFileOptions, read_belonging_columns
from thresher.readers.labels import ClassList, ClassMapping, ClassOptions, LabelOptions, make_labels, make_values
from thresher.readers.options import Column, Columns, File, FileOptions
from thresher.readers.row_options import read_column
from thresher.readers.ts_format import as_objects, read_ts


class TsSeriesOptions(ClassOptions, SideFileOptions):
    """Options of `TsSeries`."""

    file: File
    """Relative to `path`; may be compressed as .gz, .zst or .bz2. Its header says whether it is a regression
    (@targetLabel)."""
    class_names: ClassList | ClassMapping | None = None
    """A mapping of label to name, or the names in the order of the labels' numbers from 0; without it those of
    @classLabel."""


class TsSeries(RawSamples[TsSeriesOptions]):
    """A .ts file of the UCR and UEA archives: one channel or many, of equal length or not."""

    options_type = TsSeriesOptions
    modality = "series"

    def _read(self) -> Samples[np.ndarray]:
        """Return the series as float64 [T, C] each, NaN where a value is missing."""
        found = read_ts(self.paths[0], self._fix)
        if self.options.classes and not found.class_names:
            raise DataError("class_names: given, but the file has no classes (@targetLabel). Fix: leave them out.")
        if found.class_names:
            named = make_labels(found.labels, self.options.classes or found.class_names, found.places)
        else:
            named = make_values(found.labels, found.places), ()
        belonging = self.options.read_belonging(len(found.series), NOTHING)
        return Samples(found.series, *named, found.places, *belonging)


class ParquetSeriesOptions(FileOptions, LabelOptions, BelongingOptions):
    """Options of `ParquetSeries`."""

    channels: Columns
    """The columns of lists of numbers; in one row all are of one length. Null is a missing value."""
    label: Column = "label"
    """The column to predict."""


class ParquetSeries(RawSamples[ParquetSeriesOptions]):
    """A Parquet file with one series a row: a column of lists for each channel, and one of labels."""

    options_type = ParquetSeriesOptions
    modality = "series"

    def _read(self) -> Samples[np.ndarray]:
        (path,), options = self.paths, self.options
        frame = read_parquet(path, self._fix)
        if not len(frame.places):
            raise DataError(f"{path}: holds no rows. Fix: {self._fix}")
        places = frame.places
        raw = read_column(frame, options.label, "the label", "make it text or numbers.")
        values, ends = zip(*(_list_column(frame, name) for name in options.channels), strict=True)
        mistakes = Mistakes()
        for row, lengths in enumerate(np.stack([np.diff(end) for end in ends], axis=1)):
            if lengths.min() == 0 or lengths.min() != lengths.max():
                what = "a series of length 0" if lengths.min() == 0 else "channels of unequal length"
                told = ", ".join(f"{name} {length}" for name, length in zip(options.channels, lengths, strict=True))
                mistakes.add(path.parent / str(places[row]), f"{what} ({told} steps)", "correct or remove the row.")
        mistakes.refuse()
        steps = np.stack(values, axis=1)
        return Samples(
            as_objects(np.split(steps, ends[0][1:-1])),
            *options.to_labels(raw, places),
            places,
            *read_belonging_columns(frame, options, options.missing_values),
            channel_names=tuple(options.channels),
        )


def _list_column(frame: Frame, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return all values of a column of lists, float64, and where each row's begin and the last ends, [N + 1].

    Raises:
        DataError: no such column, one of another type, a value that is infinite or that float64 does not hold.
    """
    column = decode(frame.column(name, "a channel"))
    if not _is_list(column.type) or not is_numeric(column.type.value_type):
        raise DataError(f"{frame.source}: column '{name}' is of type {str(column.type)[:80]}. Fix: lists of numbers.")
    # Not by a cast to one kind of list: of list views pyarrow 25 makes rubbish so. `flatten` leaves out null rows.
    lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    ends, steps = np.concatenate([[0], np.cumsum(lengths)]), column.flatten()
    values, changed = as_float64(steps)
    mistakes = Mistakes()
    for step in np.flatnonzero(changed | np.isinf(values)).tolist():
        row = int(np.searchsorted(ends, step, side="right")) - 1
        what = f"column '{name}' holds {str(steps[step])[:60]}, which is infinite, or not a 64-bit float exactly"
        mistakes.add(frame.source.parent / frame.places[row], what, "correct or remove the row.")
    mistakes.refuse()
    return values, ends


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    lists = (pa.ListType, pa.LargeListType, pa.FixedSizeListType, pa.ListViewType, pa.LargeListViewType)
    return isinstance(kind, lists)
