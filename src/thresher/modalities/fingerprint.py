"""Which data a model was made and judged on, as hashes of its content."""

from __future__ import annotations

from typing import Any

import numpy as np

from thresher.config import Config
from thresher.modalities.samples import Inputs, Samples
from thresher.modalities.tabular.table import Table


class DataFingerprint(Config):
    """SHA-256 of each raw split, its number of samples, and its classes where it has any."""

    train_sha256: str
    test_sha256: str
    num_train_samples: int
    num_test_samples: int
    class_names: tuple[str, ...]
    inputs: str = "not described"
    """What one raw input of the training split is, in words."""
    notes: tuple[str, ...] = ()
    """What the readers left out of either split, in sentences."""


def fingerprint(train: Samples[Any], test: Samples[Any]) -> DataFingerprint:
    """Return the fingerprint of the two raw splits."""
    return DataFingerprint(
        train_sha256=train.content_hash(),
        test_sha256=test.content_hash(),
        num_train_samples=len(train),
        num_test_samples=len(test),
        class_names=train.class_names,
        inputs=_describe_inputs(train.inputs),
        notes=tuple(f"{name}: {note}" for name, split in (("train", train), ("test", test)) for note in split.notes),
    )


def _describe_inputs(inputs: Inputs) -> str:
    if isinstance(inputs, Table):
        return f"rows of {len(inputs.columns)} columns: {', '.join(inputs.columns)}"
    if inputs.dtype != np.object_ and inputs.ndim != 4:
        return f"arrays, {inputs.dtype} {'x'.join(map(str, inputs.shape[1:]))}"
    if inputs.dtype != np.object_:
        return f"images, {inputs.dtype} {'x'.join(map(str, inputs.shape[1:]))} (channels x height x width)"
    shortest, longest = (pick(map(len, inputs), default=0) for pick in (min, max))
    if len(inputs) and isinstance(inputs[0], str):
        return f"texts of {shortest:,} to {longest:,} characters"
    return f"series of {shortest:,} to {longest:,} steps"
