"""The split of one set of raw samples into train and test."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from thresher.datasets.reader_options import ReaderOptions, RefusedError, Seed, Share
from thresher.modalities.samples import Samples
from thresher.modalities.split import mark_held_out

Split = Literal["train", "test"]


class SplitOptions(ReaderOptions):
    """Which part of the samples an entry gives, where one file holds both."""

    split: Split | None = None
    """The part, together with `test_share`; without both it is all."""
    test_share: Share | None = Field(default=None, validate_default=True)
    """The share (of each class) that goes to test."""
    seed: Seed = 0
    """Of the split; the same in the entries of train and test."""

    @field_validator("test_share")
    @classmethod
    def _stands_with_split(cls, share: float | None, info: ValidationInfo) -> float | None:
        if "split" in info.data and share is None and info.data["split"] is not None:
            raise RefusedError("missing beside 'split'", "Fix: a number between 0 and 1, such as 0.2.")
        if "split" in info.data and share is not None and info.data["split"] is None:
            raise RefusedError(f"{share} given without 'split'", "Fix: write 'split: train' or 'split: test'.")
        return share


def take_split(samples: Samples, options: SplitOptions) -> Samples:
    """Return the part of ``samples`` that ``options`` ask for, in their original order.

    By class, as `mark_held_out` says; the two parts never overlap.
    """
    if options.split is None or options.test_share is None:
        return samples
    in_test = mark_held_out(samples, options.test_share, options.seed)
    return samples.take(in_test if options.split == "test" else ~in_test)
