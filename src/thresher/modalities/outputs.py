"""What a model answers, by its task. No torch in here."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from thresher.config import Config
from thresher.modalities.samples import EncodedSamples


class ClassOutput(Config):
    """One probability a class, float32 [N, K]; in training, logits [N, K]."""

    name: ClassVar[str] = "probabilities"
    """Of the ONNX graph's output."""
    kind: Literal["classification"] = "classification"
    num_classes: int = Field(ge=1)

    @property
    def width(self) -> int:
        """Units of the model's last layer."""
        return self.num_classes


class ValueOutput(Config):
    """One number, float32 [N, 1], in the label's own unit; in training it is standardized by ``mean`` and ``std``."""

    name: ClassVar[str] = "value"
    kind: Literal["regression"] = "regression"
    mean: float
    """Of the labels over the training split."""
    std: float = Field(gt=0)

    @property
    def width(self) -> int:
        """Units of the model's last layer."""
        return 1


AnyOutput = Annotated[ClassOutput | ValueOutput, Field(discriminator="kind")]


def output_of(samples: EncodedSamples) -> ClassOutput | ValueOutput:
    """Return what a model must answer that learns from ``samples``, the training split."""
    if samples.class_names:
        return ClassOutput(num_classes=len(samples.class_names))
    # Labels that are all alike are left at their scale.
    return ValueOutput(mean=float(samples.labels.mean()), std=float(samples.labels.std()) or 1.0)
