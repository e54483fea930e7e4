"""What every technique may use besides the model."""

from __future__ import annotations

from dataclasses import dataclass

from thresher.modalities.inputs import ModelInput
from thresher.modalities.samples import EncodedSamples
from thresher.training import Training


@dataclass(frozen=True)
class CompressionData:
    """The validated samples, and how the float model was trained. Never the test split.

    Attributes:
        candidate: what finetuning is called in progress reports and metrics.
    """

    candidate: str
    input: ModelInput
    """What the encoder makes, and the model takes."""
    training_samples: EncodedSamples
    validation_samples: EncodedSamples
    training: Training
