"""All that the report and the model card are written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from thresher.evaluation import Measurement
from thresher.evaluation.corruptions.examples import CorruptionExamples
from thresher.evaluation.decision import ChosenDecision
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.selection import Selection
from thresher.evaluation.set_comparison import SetComparison
from thresher.evaluation.slices import SliceComparison
from thresher.evaluation.temperature import Calibration
from thresher.evaluation.verdict import Verdict
from thresher.modalities.decision import DecisionRule
from thresher.modalities.fingerprint import DataFingerprint
from thresher.models import FLOAT, ModelChoice
from thresher.training import Training

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curve = list[tuple[float, float]]
"""(share of the channels that are gone, metric on the validation samples)."""


@dataclass(frozen=True)
class Sensitivities:
    """How much one network loses with each layer's channels, one layer at a time.

    Attributes:
        base: the candidate whose network it is.
        metric: accuracy or rmse.
        curves: group of layers -> its curve, beginning at the ratio 0; none where it could not be measured.
        reason: why not.
    """

    base: str
    metric: str
    num_samples: int
    curves: Mapping[str, Curve]
    reason: str = ""


@dataclass(frozen=True)
class Searched:
    """What the search for one candidate's chain came to, in a sentence and a picture."""

    candidate: str
    sentence: str
    figure: Figure


@dataclass(frozen=True)
class Predictions:
    """What the models answer to the test split.

    Attributes:
        labels: int64 classes or float64 values [N].
        class_names: empty for a regression.
        outputs: candidate -> probabilities [N, K] or values [N, 1]; candidates without a model are missing.
        rules: candidate -> by which it has its classes; the likeliest is the answer of those that are missing.
    """

    labels: np.ndarray
    class_names: tuple[str, ...]
    outputs: Mapping[str, np.ndarray]
    rules: Mapping[str, DecisionRule] = field(default_factory=dict)


@dataclass(frozen=True)
class Account:
    """A run's results, with what they were made from.

    Attributes:
        model: what was trained.
        training: how.
        found: whether a search or a range test has chosen some of it.
        measurement: under which conditions candidates were timed.
        chains: candidate -> its steps in words, those before its own among them.
        evaluations: candidate -> its figures; candidates without a model are missing.
        calibration: candidate -> `sha256` and number of `samples` that it was calibrated on, where it was.
        vocabularies: candidate -> what `prune_vocabulary` left and what that costs, where it was used.
        class_counts: class -> training samples, where the recipe has them count otherwise than by their number.
        decisions: candidate -> by which threshold it has its classes, where the recipe has a decision.
        temperatures: candidate -> what its logits are divided by, where the recipe calibrates.
        slices: how the candidates do on parts of the test split, where the recipe asks for that.
        sets: how they do on further test sets, where the recipe has some.
        corruptions: test set -> samples of it before and after, where it is a corrupted one.
    """

    verdict: Verdict
    selection: Selection
    fingerprint: DataFingerprint
    description: str
    model: ModelChoice
    training: Training
    found: bool
    measurement: Measurement
    chains: Mapping[str, tuple[str, ...]]
    evaluations: Mapping[str, Evaluation]
    calibration: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    vocabularies: Mapping[str, str] = field(default_factory=dict)
    class_counts: Mapping[str, int] = field(default_factory=dict)
    decisions: Mapping[str, ChosenDecision] = field(default_factory=dict)
    temperatures: Mapping[str, Calibration] = field(default_factory=dict)
    slices: SliceComparison | None = None
    sets: SetComparison | None = None
    corruptions: Mapping[str, CorruptionExamples] = field(default_factory=dict)

    @property
    def winner(self) -> str | None:
        """The candidate that wins, None where nobody qualifies."""
        return self.verdict.winner

    @property
    def compared(self) -> tuple[str, ...]:
        """The float model, and the winner where that is another one: before and after."""
        return (FLOAT,) if self.winner in (None, FLOAT) else (FLOAT, str(self.winner))
