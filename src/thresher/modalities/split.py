"""Splitting samples so that every part has every class."""

from __future__ import annotations

import numpy as np

from thresher.modalities.samples import Samples


def mark_held_out(samples: Samples, share: float, seed: int) -> np.ndarray:
    """Return a bool array [N] that is true for ``share`` of ``samples``: of each class alike, where there are classes.

    The same seed gives the same split on every machine.
    """
    strata = samples.labels if samples.class_names else np.zeros(len(samples), np.int64)
    return mark_stratified(strata, share, seed)


def mark_stratified(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Return a bool array [N] that is true for ``share`` of each class of ``labels`` [N].

    Rounded, but at least one sample and never all, where a class has two or more. The same seed gives the same split
    on every machine, and a class that gains or loses samples leaves the split of the others as it was.
    """
    marked = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        # Labels begin at -1 (missing), seeds must not be negative.
        order = np.random.default_rng([seed, int(label) + 1]).permutation(members)
        marked[order[: min(max(round(len(members) * share), 1), len(members) - 1)]] = True
    return marked
