"""Series with their labels: .ts files, and Parquet with a list column for each channel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from thresher.datasets.raw_base import (
    Mistakes,
    RawSamples,
    describe_arguments,
    fix_missing,
    number_places,
)
from thresher.datasets.raw_frame import parquet_labels, read_parquet_table
from thresher.datasets.raw_labels import check_class_names, label_samples
from thresher.datasets.raw_split import Split
from thresher.datasets.raw_ts import as_objects, read_ts
from thresher.errors import DataError, nearest
from thresher.modalities.samples import Samples


class TsSeries(RawSamples):
    """A .ts file of the UCR and UEA archives: one channel or many, of equal length or not."""

    def __init__(
        self,
        *,
        file: str,
        path: str = ".",
        class_names: list[str] | dict[str, str] | None = None,
        split: Split | None = None,
        test_share: float | None = None,
        seed: int = 0,
        fetch: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Name the file; nothing is read yet.

        Args:
            file: relative to ``path``. Its header says whether it is a regression (@targetLabel).
            path: the file's folder; Kedro makes it absolute from the project's folder.
            class_names: a mapping of label to name, or the names in the order of the labels' numbers from 0; None takes
                those of @classLabel.
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
        self._class_names, self._fix = check_class_names(class_names), fix_missing(fetch)
        self._choose_part(split, test_share, seed)

    def _read(self) -> Samples:
        """Return the series as float32 [T, C] each, NaN where a value is missing."""
        found = read_ts(self.paths[0], self._fix)
        class_names = check_class_names(self._class_names, regression=not found.class_names) or found.class_names
        named = label_samples(found.labels, class_names or None, not found.class_names, found.places)
        return Samples(found.series, *named, found.places)


class ParquetSeries(RawSamples):
    """A Parquet file with one series a row: a column of lists for each channel, and one of labels."""

    def __init__(
        self,
        *,
        file: str,
        channels: list[str],
        label: str = "label",
        path: str = ".",
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
            file: relative to ``path``.
            channels: the columns of lists of numbers; in one row all are of one length. Null is a missing value.
            label: the column to predict.
            regression: labels are numbers.

        The others are those of ``TsSeries``.
        """
        self._arguments = describe_arguments(locals())
        self.paths = (Path(path) / file,)
        if not channels:
            raise DataError("channels: [] given. Fix: name one column of lists or more.")
        self._channels, self._label, self._regression = channels, label, regression
        self._class_names, self._fix = check_class_names(class_names, regression), fix_missing(fetch)
        self._choose_part(split, test_share, seed)

    def _read(self) -> Samples:
        (path,) = self.paths
        table = read_parquet_table(path, self._fix)
        places = number_places(path, table.num_rows)
        raw = parquet_labels(path, table, self._label)
        values, ends = zip(*(_list_column(path, table, name) for name in self._channels), strict=True)
        mistakes = Mistakes()
        for row, lengths in enumerate(np.stack([np.diff(end) for end in ends], axis=1)):
            if lengths.min() == 0 or lengths.min() != lengths.max():
                what = "a series of length 0" if lengths.min() == 0 else "channels of unequal length"
                told = ", ".join(f"{name} {length}" for name, length in zip(self._channels, lengths, strict=True))
                mistakes.add(path.parent / str(places[row]), f"{what} ({told} steps)", "mend or remove the row.")
        mistakes.refuse()
        steps = np.stack(values, axis=1).astype(np.float32)
        return Samples(
            as_objects(np.split(steps, ends[0][1:-1])),
            *label_samples(raw, self._class_names, self._regression, places),
            places,
        )


def _list_column(path: Path, table: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return all values of a column of lists, float64, and where each row's begin and the last ends, [N + 1]."""
    import pyarrow as pa

    if name not in table.column_names:
        raise DataError(f"{path}: no column '{name}' (a channel). {nearest(name, table.column_names)}")
    column = table.column(name)
    try:
        lists = column.cast(pa.large_list(pa.float64())).combine_chunks()
    except pa.ArrowException as error:
        raise DataError(f"{path}: column '{name}' is of type {column.type}. Fix: lists of numbers.") from error
    lists = pa.concat_arrays(lists.chunks) if isinstance(lists, pa.ChunkedArray) else lists
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return lists.flatten().to_numpy(zero_copy_only=False), np.concatenate([[0], np.cumsum(lengths)])
