"""What a model answers, by its task. No torch in here."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from thresher.config import Config
from thresher.errors import DataError
from thresher.modalities.centering import LARGEST_NUMBER, SWAMPED, center, find_swamping, too_large
from thresher.modalities.samples import EncodedSamples, Samples

SMALLEST_SPREAD = 1e-140
"""The smallest standard deviation of a regression's labels: float64 holds squares of errors of a ten-thousandth of
it."""


class ClassOutput(Config):
    """One probability a class, float32 [N, K]; in training, logits [N, K]."""

    name: ClassVar[str] = "probabilities"
    """The name of the ONNX graph's output."""
    dtype: ClassVar[np.dtype] = np.dtype(np.float32)
    kind: Literal["classification"] = "classification"
    num_classes: int = Field(ge=1)

    @property
    def width(self) -> int:
        """Units of the model's last layer."""
        return self.num_classes


class ValueOutput(Config):
    """One number, float64 [N, 1], in the label's own unit; in training it is standardized by ``mean`` and ``std``.

    A moment such as 1,700,000,000 s would lose its last two digits in float32: the network gives standard deviations in
    float32, and the graph goes back to the label's unit in float64.
    """

    name: ClassVar[str] = "value"
    dtype: ClassVar[np.dtype] = np.dtype(np.float64)
    kind: Literal["regression"] = "regression"
    mean: float
    """The mean of the labels over the training split."""
    std: float = Field(gt=0)

    @property
    def width(self) -> int:
        """Units of the model's last layer."""
        return 1


AnyOutput = Annotated[ClassOutput | ValueOutput, Field(discriminator="kind")]


def output_of(samples: EncodedSamples) -> ClassOutput | ValueOutput:
    """Return what a model must answer that learns from ``samples``, the training split.

    Raises:
        DataError: a label that is too large, or labels that differ by too little to compute with.
    """
    if samples.class_names:
        return ClassOutput(num_classes=len(samples.class_names))
    check_values(samples)
    try:
        mean, std = center(samples.labels)
    except ValueError as error:
        raise DataError(f"The labels {error}. Fix: another unit for them.") from error
    if (index := find_swamping(samples.labels, mean, std)) is not None:
        raise DataError(f"{samples.place(index)}: the label is {samples.labels[index]:g}: {SWAMPED}")
    if std < SMALLEST_SPREAD:
        raise DataError(
            f"The labels have a standard deviation of {std:.3g}: squares of their errors would be no numbers any more. "
            f"Allowed: {SMALLEST_SPREAD:g} and more. Fix: another unit for them."
        )
    return ValueOutput(mean=mean, std=std)


def check_learnable(samples: Samples[Any]) -> None:
    """Check that the labels of the training samples are not all alike.

    Raises:
        DataError: they are.
    """
    different = np.unique(samples.labels)
    if len(different) > 1:
        return
    if samples.class_names:
        name = samples.class_names[int(different[0])]
        raise DataError(
            f"One class is nothing to learn: all {len(samples):,} training samples are '{name}'. "
            "Fix: add samples of another class, or name another label."
        )
    raise DataError(
        f"One number is nothing to learn: the labels of all {len(samples):,} training samples are {different[0]:g}. "
        "Fix: name another label."
    )


def check_values(samples: Samples[Any]) -> None:
    """Check that the labels of a regression are numbers whose squares are.

    Raises:
        DataError: one is not, with its place.
    """
    if samples.class_names:
        return
    wrong = too_large(samples.labels) | np.isnan(samples.labels)
    if wrong.any():
        index = int(wrong.argmax())
        raise DataError(
            f"{samples.place(index)}: the label is {samples.labels[index]:.6g}. Allowed: finite numbers up to "
            f"{LARGEST_NUMBER:g}. Fix: correct or remove it, or take another unit for the labels."
        )
