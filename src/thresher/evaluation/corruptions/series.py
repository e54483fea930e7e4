"""Corruptions of series: an array of float64 [T, C]."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from thresher.evaluation.corruptions import DrawnCorruption


class DroppedSamples(DrawnCorruption):
    """Steps without a value in any channel, as where a sensor was silent."""

    kind: Literal["dropped_samples"] = "dropped_samples"
    share: float = Field(default=0.1, gt=0, lt=1)
    """How many of the steps."""


def dropped_samples(series: np.ndarray, config: DroppedSamples, random: np.random.Generator) -> np.ndarray:
    """Return ``series`` as `DroppedSamples` says; each channel keeps a value where it had one."""
    corrupted = np.empty(len(series), dtype=object)
    for index, steps_TC in enumerate(series):
        gone = random.random(len(steps_TC)) < config.share
        dropped = np.where(gone[:, None], np.nan, steps_TC)
        for channel in np.flatnonzero(np.isnan(dropped).all(axis=0)):
            if len(given := np.flatnonzero(~np.isnan(steps_TC[:, channel]))):
                kept = random.choice(given)
                dropped[kept, channel] = steps_TC[kept, channel]
        corrupted[index] = dropped
    return corrupted
