"""What the training split looked like, in a few histograms: what the service's inputs are compared with."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from thresher.config import Config
from thresher.modalities.encoder import Encoder
from thresher.modalities.service import service_of

NUM_BINS = 10
MAX_SAMPLES = 20_000
"""The most samples of the training split that a profile is made from, evenly spaced."""
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

    def count(self, values: np.ndarray) -> np.ndarray:
        """Return how many of ``values`` [N] are in each bin, int64 [B]."""
        return np.bincount(self.bin_of(values), minlength=len(self.bounds) + 1)


class Profile(Config):
    """The features of the inputs, and the mix of the labels that predictions are compared with."""

    features: tuple[Histogram, ...]
    prediction: Histogram
    num_samples: int = Field(ge=1)


def make_profile(encoder: Encoder, inputs: np.ndarray, labels: np.ndarray) -> Profile:
    """Return the profile of encoded ``inputs`` [N, ...] and their ``labels`` [N], the training split's."""
    chosen = np.linspace(0, len(inputs) - 1, min(len(inputs), MAX_SAMPLES)).astype(np.int64)
    samples, known = np.asarray(inputs[chosen]), np.asarray(labels[chosen])
    service = service_of(encoder)
    codes, found = service.num_codes(), service.features(samples).items()
    features = tuple(_histogram(name, values, codes.get(name)) for name, values in found)
    prediction = _histogram(PREDICTION, known.astype(np.float64), len(encoder.class_names) or None)
    return Profile(features=features, prediction=prediction, num_samples=len(samples))


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
    return empty.model_copy(update={"counts": tuple(empty.count(values).tolist())})
