"""What a contract can say of series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thresher.modalities.samples import Samples
from thresher.modalities.series.encoder import SeriesEncoding

if TYPE_CHECKING:
    import pandas as pd


def describe(samples: Samples, encoding: SeriesEncoding) -> pd.DataFrame:
    """Return one row a sample with what a contract can say of a series.

    Columns: length (steps), num_channels, num_missing (values), and mean, std, min, max over those that are there.
    """
    import pandas as pd

    figures = [_figures(series) for series in samples.inputs]
    names = ("length", "num_channels", "num_missing", "mean", "std", "min", "max")
    columns = zip(*figures, strict=True) if figures else ((),) * len(names)
    return pd.DataFrame(dict(zip(names, columns, strict=True)), index=range(len(samples)))


def _figures(series: np.ndarray) -> tuple[float, ...]:
    length, num_channels = series.shape
    given = series[~np.isnan(series)].astype(np.float64)
    shape = (length, num_channels, series.size - given.size)
    if not given.size:
        return (*shape, np.nan, np.nan, np.nan, np.nan)
    return (*shape, given.mean(), given.std(), given.min(), given.max())
