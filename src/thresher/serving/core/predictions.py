"""What a model's outputs say of each sample, as answers have it."""

from __future__ import annotations

from typing import Any

import numpy as np

from thresher.errors import InvalidInputError
from thresher.modalities.decision import DecisionRule, choose_classes
from thresher.modalities.encoder import Encoder


def list_predictions(outputs: np.ndarray, encoder: Encoder, rule: DecisionRule | None) -> list[dict[str, Any]]:
    """Return one document a sample: label, class_index and the probabilities by class; of a regression its value.

    Numbers are exact: a float32 or float64 becomes the same Python float.

    Args:
        outputs: probabilities [N, K] or values [N, 1].
        rule: by which the model has its classes.
    """
    names = encoder.class_names
    if not names:
        return [{"value": value} for value in outputs[:, 0].tolist()]
    return [
        {"label": names[index], "class_index": index, "probabilities": dict(zip(names, row, strict=True))}
        for index, row in zip(choose_classes(outputs, rule).tolist(), outputs.tolist(), strict=True)
    ]


def all_finite(outputs: np.ndarray) -> bool:
    """Return whether each of ``outputs`` [N, K] is a number."""
    return bool(np.isfinite(outputs).all())


def not_finite(outputs: np.ndarray, encoder: Encoder) -> InvalidInputError:
    """Return what is wrong with the first sample to which ``outputs`` [N, K] are no finite answer."""
    wrong = int(np.flatnonzero(~np.isfinite(outputs).all(axis=1))[0])
    return InvalidInputError(
        f"The model has no finite answer to {encoder.NAMES[0]} {wrong}: numbers too large. Expected {encoder.expected}."
    )
