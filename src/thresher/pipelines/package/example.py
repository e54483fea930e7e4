"""Chooses the sample that a service shows how to call it with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from thresher import modalities
from thresher.errors import InvalidInputError
from thresher.evaluation.runtime import open_session, predict
from thresher.modalities.decision import DecisionRule, choose_classes
from thresher.modalities.encoder import Encoder
from thresher.modalities.samples import Samples
from thresher.serving.core.example import Example

MAX_CANDIDATES = 256
"""Samples among which one is chosen, the first of the test data."""
MAX_VALUES = 4 * 32 * 32
"""Numbers of a sample, or four times its letters, at most: an example is there to be read and pasted."""


def choose_example(
    encoder: Encoder, onnx_file: bytes, test: Samples[Any], threads: int, rule: DecisionRule | None = None
) -> Example | None:
    """Return the test sample that the model is surest of and right about, or whose value it comes closest to.

    Returns: None where no sample of MAX_VALUES or fewer is answered rightly, or none reads the same out of JSON.
    """
    some = test.take(np.arange(min(len(test), MAX_CANDIDATES)))
    encoded = modalities.encode(encoder, some).inputs
    outputs = predict(open_session(onnx_file, threads), encoded, encoder.model_input)
    for index in _best_first(outputs, some.labels, bool(encoder.class_names), rule):
        written = encoder.write_json(some.inputs, int(index))
        if _size(written) <= MAX_VALUES and _reads_back(encoder, written, encoded[index]):
            label = some.labels[index]
            return Example(input=written, answer=some.class_names[label] if some.class_names else float(label))
    return None


def _best_first(outputs: np.ndarray, labels: np.ndarray, are_classes: bool, rule: DecisionRule | None) -> np.ndarray:
    """Return the indices of the samples that are answered rightly, or of all values, the best first."""
    if not are_classes:
        errors = np.abs(outputs[:, 0] - labels)
        return np.argsort(errors, kind="stable")[: int(np.isfinite(errors).sum())]
    right = np.flatnonzero(choose_classes(outputs, rule) == labels)
    return right[np.argsort(-outputs[right].max(axis=1), kind="stable")]


def _size(written: object) -> int:
    if isinstance(written, str):
        return 4 * len(written)
    if isinstance(written, dict):
        return sum(map(_size, written.values()))
    return sum(map(_size, written)) if isinstance(written, list) else 1


def _reads_back(encoder: Encoder, written: object, encoded: np.ndarray) -> bool:
    """Return whether the service makes of ``written`` what the evaluation made of the sample."""
    try:
        read = encoder.encode_json(written)[0]
    except InvalidInputError:
        return False
    # What was encoded together is padded to the longest: a sample's own part is the whole of what is read.
    part = encoded[tuple(slice(size) for size in read.shape)]
    return math.prod(read.shape) > 0 and np.array_equal(read, part, equal_nan=read.dtype.kind == "f")
