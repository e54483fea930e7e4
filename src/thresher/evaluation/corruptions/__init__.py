"""Corruptions of raw test samples: what reaches a service is not always as clean as what it was judged on."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from pydantic import Field, RootModel

from thresher.config import KindConfig
from thresher.errors import DataError
from thresher.kinds.field import KindOf
from thresher.kinds.record import CorruptionKind
from thresher.kinds.registry import kind_of
from thresher.modalities.samples import Samples


class DrawnCorruption(KindConfig):
    """Base of the settings of a corruption that hangs on chance."""

    seed: int = Field(default=1, ge=0, lt=2**63)
    """The same seed corrupts the same samples in the same way."""


Corruption = Annotated[KindConfig, KindOf(CorruptionKind)]


class CorruptionChoice(RootModel[Corruption]):
    """One of `data.corruptions` as a node receives it: Kedro turns parameters into classes, not into unions."""


def corrupt(samples: Samples[Any], config: KindConfig) -> Samples[Any]:
    """Return the raw ``samples`` with their inputs corrupted; labels and places are theirs.

    Raises:
        DataError: the corruption cannot be made of these samples, or changes nothing.
    """
    kind = kind_of(CorruptionKind, config)
    random = np.random.default_rng(getattr(config, "seed", 0))
    corrupted = replace(samples, inputs=kind.load()(samples.inputs, config, random))
    if len(corrupted.inputs) != len(samples):
        raise DataError(f"The corruption {kind.name} makes {len(corrupted.inputs):,} samples of {len(samples):,}.")
    return corrupted


def describe_settings(config: KindConfig) -> str:
    """Return a corruption in words, such as `gaussian_noise, std 0.1, seed 1`."""
    settings = config.model_dump(mode="json", exclude={"kind"})
    said = (f"{name} {', '.join(value) if isinstance(value, list) else value}" for name, value in settings.items())
    return ", ".join([config.kind, *(each for each in said if not each.endswith((" ", "None")))])
