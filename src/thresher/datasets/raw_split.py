"""The split of one set of raw samples into train and test."""

from __future__ import annotations

from typing import Literal

from thresher.errors import DataError, nearest
from thresher.modalities.samples import Samples
from thresher.modalities.split import mark_held_out

Split = Literal["train", "test"]
SPLITS = ("train", "test")


def check_split(split: str | None, test_share: float | None) -> None:
    """Raise a DataError for a split that does not exist, or a share that leaves train or test empty."""
    if split not in SPLITS:
        raise DataError(f"split: '{split}' given. {nearest(str(split), SPLITS)}")
    if test_share is None or not 0 < test_share < 1:
        raise DataError(f"test_share: {test_share} given. Fix: a number between 0 and 1, such as 0.2.")


def take_split(samples: Samples, split: Split, test_share: float, seed: int) -> Samples:
    """Return the train or test part of ``samples``, in their original order.

    By class, as `mark_held_out` says; the two parts never overlap.
    """
    in_test = mark_held_out(samples, test_share, seed)
    return samples.take(in_test if split == "test" else ~in_test)
