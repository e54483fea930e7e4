"""How good a model's answers are, by the recipe's task, beside a reference's on the same test samples."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from thresher.config import Config
from thresher.errors import CompressionError
from thresher.evaluation.statistics import (
    Interval,
    PairedCounts,
    Resampled,
    accuracy_drop,
    count_pairs,
    mcnemar_p,
    resample_rmse_increase,
)
from thresher.modalities.decision import DecisionRule, choose_classes


class ClassificationQuality(Config):
    """Right classes among the test samples."""

    kind: Literal["classification"] = "classification"
    accuracy: float
    balanced_accuracy: float
    """The mean over the classes of the share of right answers: each class counts alike."""
    log_loss: float
    """The mean of the negative logarithm of the right class's probability, in nats."""
    reference_accuracy: float
    paired: PairedCounts
    agreement: float
    """Share of the test samples on which candidate and reference give the same class."""

    @property
    def num_samples(self) -> int:
        """The number of samples in the test split."""
        return self.paired.num_samples

    @property
    def figure(self) -> float:
        """What of it is lost: the accuracy."""
        return self.accuracy

    @property
    def reference_figure(self) -> float:
        """The reference's accuracy."""
        return self.reference_accuracy

    @property
    def figures(self) -> dict[str, float]:
        """The figures by the names of their metrics."""
        return {
            "accuracy": self.accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            "log_loss": self.log_loss,
            "mcnemar_p": mcnemar_p(self.paired),
        }

    def loss(self, confidence: float) -> Interval:
        """Return how much worse than the reference it is: the metric `accuracy_drop`."""
        return accuracy_drop(self.paired, confidence)


class RegressionQuality(Config):
    """Errors of the values on the test samples. All but R2 are in the label's unit."""

    kind: Literal["regression"] = "regression"
    num_samples: int
    rmse: float
    """Root of the mean squared error."""
    mae: float
    """Mean absolute error."""
    r2: float
    """Share of the labels' variance that the values explain; 0 is as good as their mean, 1 is exact."""
    reference_rmse: float
    reference_mae: float
    reference_r2: float
    increase: Resampled
    """The increase of the RMSE over the reference's."""

    @property
    def figure(self) -> float:
        """What of it grows: the RMSE."""
        return self.rmse

    @property
    def reference_figure(self) -> float:
        """The reference's RMSE."""
        return self.reference_rmse

    @property
    def figures(self) -> dict[str, float]:
        """The figures by the names of their metrics."""
        return {"rmse": self.rmse, "mae": self.mae, "r2": self.r2}

    def loss(self, confidence: float) -> Interval:
        """Return how much worse than the reference it is: the metric `rmse_increase`."""
        return self.increase.interval(confidence)


Rules = tuple[DecisionRule | None, DecisionRule | None]
"""By which a candidate and its reference have their classes."""
LIKELIEST: Rules = (None, None)
Quality = Annotated[ClassificationQuality | RegressionQuality, Field(discriminator="kind")]


def measure_quality(
    outputs: np.ndarray, reference_outputs: np.ndarray, labels: np.ndarray, rules: Rules = LIKELIEST
) -> Quality:
    """Return the quality of ``outputs``, beside that of ``reference_outputs``.

    Args:
        outputs: probabilities [N, K], or values [N, 1].
        labels: of shape [N], int64 classes for probabilities, float64 for values.
        rules: by which both have their classes.

    Raises:
        CompressionError: an output that is not a finite number.
    """
    require_finite(outputs, "test")
    if labels.dtype.kind == "f":
        return _measure_values(outputs, reference_outputs, labels)
    return _measure_classes(outputs, reference_outputs, labels, rules)


def require_finite(outputs: np.ndarray, split: str) -> None:
    """Check that ``outputs`` [N, K] for the samples of ``split`` are numbers; raises a CompressionError."""
    if not np.isfinite(outputs).all():
        wrong = int((~np.isfinite(outputs)).any(axis=1).sum())
        raise CompressionError(
            f"The model answers {wrong:,} of {len(outputs):,} {split} samples with no finite number. "
            "Fix: leave out the candidate's last technique, or scale inputs and labels."
        )


def _measure_classes(outputs: np.ndarray, reference_outputs: np.ndarray, labels: np.ndarray, rules: Rules) -> Quality:
    classes, reference_classes = choose_classes(outputs, rules[0]), choose_classes(reference_outputs, rules[1])
    correct, reference_correct = classes == labels, reference_classes == labels
    return ClassificationQuality(
        accuracy=float(correct.mean()),
        balanced_accuracy=float(np.mean([correct[labels == label].mean() for label in np.unique(labels)])),
        log_loss=float(log_losses(outputs, labels).mean()),
        reference_accuracy=float(reference_correct.mean()),
        paired=count_pairs(reference_correct, correct),
        agreement=float((classes == reference_classes).mean()),
    )


def _measure_values(outputs: np.ndarray, reference_outputs: np.ndarray, labels: np.ndarray) -> Quality:
    # In float64: squares of float32 values lose what two good models differ in.
    errors, reference_errors = (values[:, 0].astype(np.float64) - labels for values in (outputs, reference_outputs))
    return RegressionQuality(
        num_samples=len(labels),
        rmse=root_mean_square(errors),
        mae=float(np.abs(errors).mean()),
        r2=_r2(errors, labels),
        reference_rmse=root_mean_square(reference_errors),
        reference_mae=float(np.abs(reference_errors).mean()),
        reference_r2=_r2(reference_errors, labels),
        increase=resample_rmse_increase(reference_errors, errors),
    )


def log_losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the negative logarithm of the right class's probability in nats, float64 [N].

    A probability of 0 counts as the smallest share that float32 tells from 1, as scikit-learn has it.

    Args:
        probabilities: of each class, [N, K] or, of all samples alike, [1, K].
    """
    rows = np.broadcast_to(probabilities, (len(labels), probabilities.shape[1]))
    given = rows[np.arange(len(labels)), labels].astype(np.float64)
    least = float(np.finfo(np.float32).eps)
    losses: np.ndarray = -np.log(np.clip(given, least, 1))
    return losses


def root_mean_square(errors: np.ndarray) -> float:
    """Return the RMSE of ``errors``, value minus label, float64 [N]."""
    return float(np.sqrt((errors**2).mean()))


def _r2(errors: np.ndarray, labels: np.ndarray) -> float:
    """Return 1 - SSE / SST; where all labels are alike, 1 for exact values and else 0, as scikit-learn has it."""
    total, left = float(((labels - labels.mean()) ** 2).sum()), float((errors**2).sum())
    return 1 - left / total if total else float(left == 0)
