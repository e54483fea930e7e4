"""What a contract can say of series."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from thresher.modalities.description import BETWEEN, Description, Rule
from thresher.modalities.samples import Samples
from thresher.modalities.series.encoder import SeriesEncoding

if TYPE_CHECKING:
    import pandas as pd


class SeriesDescription(Description):
    """What the sample table shows of a series, and what must hold of it."""

    COLUMNS = ("length", "num_channels", "num_missing", "mean", "std", "min", "max")

    def describe(self, samples: Samples[np.ndarray], encoding: SeriesEncoding) -> pd.DataFrame:
        """Return one row a sample with what a contract can say of a series.

        Columns: length (steps), num_channels, num_missing (values), and mean, std, min, max over those that are there.
        """
        import pandas as pd

        figures = [_figures(series) for series in samples.inputs]
        columns = zip(*figures, strict=True) if figures else ((),) * len(self.COLUMNS)
        return pd.DataFrame(dict(zip(self.COLUMNS, columns, strict=True)), index=range(len(samples)))

    def rules(self, splits: dict[str, pd.DataFrame], columns: list[str], encoding: SeriesEncoding) -> Iterable[Rule]:
        yield Rule(BETWEEN, {"column": "length", "min_value": 1}, "Every series has a step.", "remove these series.")
        if encoding.max_length is not None:
            yield Rule(
                BETWEEN,
                {"column": "length", "max_value": encoding.max_length},
                "No series is longer than data.encoding.max_length.",
                "raise data.encoding.max_length, or shorten these series.",
            )
        if encoding.missing == "refuse":
            yield Rule(
                BETWEEN,
                {"column": "num_missing", "max_value": 0},
                "No series lacks a value, as data.encoding.missing says.",
                "fill in these values, or say 'missing: interpolate' in data.encoding.",
            )


def _figures(series: np.ndarray) -> tuple[float, ...]:
    length, num_channels = series.shape
    given = series[~np.isnan(series)].astype(np.float64)
    shape = (length, num_channels, series.size - given.size)
    if not given.size:
        return (*shape, np.nan, np.nan, np.nan, np.nan)
    return (*shape, given.mean(), given.std(), given.min(), given.max())
