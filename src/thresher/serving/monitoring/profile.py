"""What the training split looked like, in a few histograms: what the service's inputs are compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from pydantic import Field

from thresher.config import Config
from thresher.modalities.encoder import Encoder
from thresher.modalities.image.encoder import ImageEncoder
from thresher.modalities.series.encoder import SeriesEncoder
from thresher.modalities.tabular.columns import NumericColumn
from thresher.modalities.tabular.encoder import TabularEncoder
from thresher.modalities.text.encoder import TextEncoder

NUM_BINS = 10
MAX_SAMPLES = 20_000
"""Of the training split, evenly spaced, that a profile is made of."""
UNKNOWN_TOKEN = 1
SMOOTHING = 0.5
"""Added to every bin's count, so that an empty one has a logarithm."""
PREDICTION = "prediction"


class Histogram(Config):
    """How one feature was distributed over the training split."""

    name: str
    bounds: tuple[float, ...]
    """Between the bins, ascending; a value equal to a bound belongs below it."""
    counts: tuple[int, ...]
    """In each bin, one more than there are bounds."""

    def bin_of(self, values: np.ndarray) -> np.ndarray:
        """Return the bin of each of ``values`` [N], int64 [N]; NaN belongs to the last."""
        return np.searchsorted(np.array(self.bounds), values)


class Profile(Config):
    """The features of the inputs, and the mix of the labels that predictions are compared with."""

    features: tuple[Histogram, ...]
    prediction: Histogram
    num_samples: int = Field(ge=1)


def make_profile(encoder: Encoder, inputs: np.ndarray, labels: np.ndarray) -> Profile:
    """Return the profile of encoded ``inputs`` [N, ...] and their ``labels`` [N], the training split's."""
    chosen = np.linspace(0, len(inputs) - 1, min(len(inputs), MAX_SAMPLES)).astype(np.int64)
    samples, known = np.asarray(inputs[chosen]), np.asarray(labels[chosen])
    codes = _categorical(encoder)
    found = read_features(encoder, samples).items()
    features = tuple(_histogram(name, values, codes.get(name)) for name, values in found)
    prediction = _histogram(PREDICTION, known.astype(np.float64), len(encoder.class_names) or None)
    return Profile(features=features, prediction=prediction, num_samples=len(samples))


def read_features(encoder: Encoder, samples: np.ndarray) -> dict[str, np.ndarray]:
    """Return what is watched of encoded ``samples`` [N, ...], each float64 [N], by its name.

    Images: brightness and contrast, the mean and the standard deviation of the pixels. Texts: the length in tokens and
    the share of unknown ones. Rows: each column. Series: the length, and the level and spread of each channel.
    """
    return _FEATURES[type(encoder)](encoder, samples)


def population_stability_index(expected: np.ndarray, seen: np.ndarray) -> float:
    """Return the sum of (p - q) ln(p / q) over bins with shares q ``expected`` and p ``seen``, given as counts [B].

    Also called the symmetrised Kullback-Leibler divergence (Jeffreys 1946); below 0.1 is taken for no change, above
    0.25 for a large one (Siddiqi 2006, Credit Risk Scorecards). Half a count is added to each bin.
    """
    p, q = seen + SMOOTHING, expected + SMOOTHING
    p, q = p / p.sum(), q / q.sum()
    return float(((p - q) * np.log(p / q)).sum())


def _histogram(name: str, values: np.ndarray, num_codes: int | None) -> Histogram:
    if num_codes:
        bounds = np.arange(num_codes - 1) + 0.5
    else:
        bounds = np.unique(np.quantile(values, np.arange(1, NUM_BINS) / NUM_BINS))
    empty = Histogram(name=name, bounds=tuple(bounds.tolist()), counts=())
    counts = np.bincount(empty.bin_of(values), minlength=len(bounds) + 1)
    return empty.model_copy(update={"counts": tuple(counts.tolist())})


def _categorical(encoder: Encoder) -> dict[str, int]:
    """Return how many codes each categorical column has, the one for unseen categories among them."""
    if not isinstance(encoder, TabularEncoder):
        return {}
    columns = [column for column in encoder.columns if not isinstance(column, NumericColumn)]
    return {column.name: len(column.categories) + 1 for column in columns}


def _image(encoder: ImageEncoder, samples: np.ndarray) -> dict[str, np.ndarray]:
    pixels = samples.reshape(len(samples), -1)
    return {"brightness": pixels.mean(axis=1), "contrast": pixels.std(axis=1)}


def _text(encoder: TextEncoder, samples: np.ndarray) -> dict[str, np.ndarray]:
    lengths = encoder.model_input.lengths(samples).astype(np.float64)
    unknown = (samples == UNKNOWN_TOKEN).sum(axis=1)
    return {"length": lengths, "unknown_share": unknown / np.maximum(lengths, 1)}


def _row(encoder: TabularEncoder, samples: np.ndarray) -> dict[str, np.ndarray]:
    numeric = [column for column in encoder.columns if isinstance(column, NumericColumn)]
    categorical = [column for column in encoder.columns if not isinstance(column, NumericColumn)]
    start = samples.shape[1] - len(categorical)
    found = {column.name: samples[:, place].astype(np.float64) for place, column in enumerate(numeric)}
    return found | {
        column.name: samples[:, start + place].astype(np.float64) for place, column in enumerate(categorical)
    }


def _series(encoder: SeriesEncoder, samples: np.ndarray) -> dict[str, np.ndarray]:
    found = {"length": encoder.model_input.lengths(samples).astype(np.float64)}
    for channel, name in enumerate(encoder.channel_names or range(samples.shape[2])):
        values = samples[:, :, channel].astype(np.float64)
        found[f"level_{name}"] = np.nanmean(values, axis=1)
        found[f"spread_{name}"] = np.nanstd(values, axis=1)
    return found


_FEATURES: dict[type[Encoder], Callable[[Any, np.ndarray], dict[str, np.ndarray]]] = {
    ImageEncoder: _image,
    TextEncoder: _text,
    TabularEncoder: _row,
    SeriesEncoder: _series,
}
