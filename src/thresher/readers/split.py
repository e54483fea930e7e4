"""The split of one set of raw samples into train and test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from thresher.errors import DataError
from thresher.modalities.samples import Samples
from thresher.modalities.split import find_repeated, mark_held_out
from thresher.readers.options import Limit, ReaderOptions, RefusedError, Seed, Share

Split = Literal["train", "test"]


class DuplicateOptions(ReaderOptions):
    """What becomes of samples that are there twice."""

    duplicates: Literal["keep", "drop"] = "keep"
    """What becomes of samples with the content and the label of an earlier one. keep: all copies of a sample are in
    train, or all in test. drop: they are left out, which the contract's report says."""
    limit: Limit | None = None
    """The most samples to load: of more, so many are drawn of each class in proportion, always the same ones."""


class SplitOptions(DuplicateOptions):
    """Which part of the samples an entry gives, where one file holds both."""

    split: Split | None = None
    """The part to load, together with `test_share`; without both, all samples are loaded."""
    test_share: Share | None = Field(default=None, validate_default=True)
    """The share that goes to test: of each class alike, or the last by `order`. Copies of a sample stay together."""
    seed: Seed = 0
    """The seed of the split; it must be the same in the entries of train and test."""

    @field_validator("test_share")
    @classmethod
    def _stands_with_split(cls, share: float | None, info: ValidationInfo) -> float | None:
        if "split" in info.data and share is None and info.data["split"] is not None:
            raise RefusedError("missing beside 'split'", "Fix: a number between 0 and 1, such as 0.2.")
        if "split" in info.data and share is not None and info.data["split"] is None:
            raise RefusedError(f"{share} given without 'split'", "Fix: write 'split: train' or 'split: test'.")
        return share


def _drop_repeated(samples: Samples[Any]) -> Samples[Any]:
    repeated = find_repeated(samples)
    if not repeated.any():
        return samples
    note = f"{repeated.sum():,} of {len(samples):,} samples left out, which repeat an earlier one (duplicates: drop)."
    return replace(samples.take(~repeated), notes=(*samples.notes, note))


def _describe_whole(samples: Samples[Any]) -> str:
    """Return why a split would leave one of its parts without samples."""
    if samples.order is not None:
        together, fix = "all are of one time by 'order', or copies of an earlier one", "another column as 'order'"
    elif samples.groups is not None:
        together, fix = "all are linked by 'group' or as copies of each other", "another column as 'group'"
    else:
        together, fix = "each class has one sample, or copies of one", "more samples that differ"
    told = f"{len(samples):,} sample{'s' if len(samples) != 1 else ''} cannot be divided into train and test"
    return f"{samples.place(0)}: {told}: {together}. Fix: {fix}, or a file for each split."


def _draw(samples: Samples[Any], limit: int) -> Samples[Any]:
    """Return ``limit`` of ``samples`` in their order, of each class in proportion (largest remainders)."""
    if limit >= len(samples):
        return samples
    labels = samples.labels if samples.class_names else np.zeros(len(samples), np.int64)
    classes, counts = np.unique(labels, return_counts=True)
    shares = counts * limit / len(samples)
    wanted = np.floor(shares).astype(np.int64)
    wanted[np.argsort(wanted - shares, kind="stable")[: limit - wanted.sum()]] += 1
    drawn = [
        np.random.default_rng([0, int(label) + 1]).permutation(np.flatnonzero(labels == label))[:count]
        for label, count in zip(classes.tolist(), wanted.tolist(), strict=True)
    ]
    note = f"{limit:,} of {len(samples):,} samples drawn (limit: {limit})."
    return replace(samples.take(np.sort(np.concatenate(drawn))), notes=(*samples.notes, note))


def select_split(samples: Samples[Any], options: DuplicateOptions) -> Samples[Any]:
    """Return the part of ``samples`` that ``options`` ask for, in their original order.

    By class, as `mark_held_out` says; the two parts never overlap.

    Raises:
        DataError: the samples cannot be divided, since all belong together.
    """
    if options.duplicates == "drop":
        samples = _drop_repeated(samples)
    if isinstance(options, SplitOptions) and options.split is not None and options.test_share is not None:
        in_test = mark_held_out(samples, options.test_share, options.seed)
        if in_test.all() or not in_test.any():
            raise DataError(_describe_whole(samples))
        samples = samples.take(in_test if options.split == "test" else ~in_test)
    return samples if options.limit is None else _draw(samples, options.limit)
