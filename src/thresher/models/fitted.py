"""Models that are fitted as a whole and make their own ONNX file, as boosted trees do: what they get, and give."""

from __future__ import annotations

from dataclasses import dataclass

from thresher.modalities.model_input import ModelInput
from thresher.modalities.outputs import AnyOutput
from thresher.modalities.samples import EncodedSamples


@dataclass(frozen=True)
class FitData:
    """All that a model is fitted by, besides its own settings.

    Attributes:
        input: what the encoder makes, and the file takes.
        output: what the file answers.
        validation_samples: say how many steps are kept; never learned from.
        balances_classes: whether a class counts by the inverse of its share of the training samples.
        threads: of the processor; None where the model may choose.
    """

    input: ModelInput
    output: AnyOutput
    training_samples: EncodedSamples
    validation_samples: EncodedSamples
    seed: int
    balances_classes: bool = False
    threads: int | None = None


@dataclass(frozen=True)
class Fitted:
    """A fitted model, and what each of its steps came to.

    Attributes:
        onnx_file: from what the encoder makes to what is served.
        training_losses: cross-entropies, or squared errors in variances of the labels; one a step.
        validation_metrics: accuracies, or RMSEs in the labels' own unit.
        kept: how many of the steps are in the file.
        summary: what was made, in words.
    """

    onnx_file: bytes
    training_losses: tuple[float, ...]
    validation_losses: tuple[float, ...]
    validation_metrics: tuple[float, ...]
    kept: int
    summary: str
