"""Samples of like length are computed together, so that a short one is not padded to a long one beside it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from thresher.modalities.model_input import ModelInput

SHORTEST = 16
"""Steps: samples of up to so many are all in one group, since a call costs more than their padding."""


class Share(NamedTuple):
    """What of a request is in one group.

    Attributes:
        places: of the samples in the request, int64 [N]; None where they are all of it.
        samples: [N, ...], without the padding that none of them needs.
    """

    group: int
    places: np.ndarray | None
    samples: np.ndarray


class LengthGroups:
    """Groups of samples whose lengths differ by less than a factor of 2; all are in one where none has a length.

    Attributes:
        ends: the longest length of each group, from the shortest group to the longest.
    """

    def __init__(self, model_input: ModelInput | None = None) -> None:
        self._input = model_input
        ends = [0]
        if model_input is not None and model_input.shape[:1] == (None,):
            ends = [model_input.longest[0]]
            while ends[0] > SHORTEST:
                ends.insert(0, (ends[0] + 1) // 2)
        self.ends = tuple(ends)

    def split(self, samples: np.ndarray) -> list[Share]:
        """Return the shares of ``samples`` [N, ...], N at least 1, one for each group that is among them."""
        if len(self.ends) == 1 or self._input is None:
            return [Share(0, None, samples)]
        groups = np.searchsorted(self.ends, self._input.lengths(samples))
        there = np.unique(groups).tolist() if len(groups) > 1 else groups.tolist()
        if len(there) == 1:
            return [Share(there[0], None, self._input.trim(samples))]
        places = [np.flatnonzero(groups == group) for group in there]
        return [Share(g, own, self._input.trim(samples[own])) for g, own in zip(there, places, strict=True)]

    def example(self, group: int, count: int) -> np.ndarray:
        """Return ``count`` valid samples of the longest length of ``group``."""
        assert self._input is not None
        samples = self._input.example(count)
        return samples if len(self.ends) == 1 else samples[:, : self.ends[group]]
