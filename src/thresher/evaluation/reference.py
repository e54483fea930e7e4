"""Another model of the same split that stands beside float in the report, and takes no part in the verdict."""

from __future__ import annotations

import numpy as np

from thresher.config import Config
from thresher.evaluation.quality import root_mean_square
from thresher.evaluation.statistics import Interval, accuracy_drop, count_pairs, resample_rmse_increase
from thresher.modalities.samples import EncodedSamples

ROW = "(boosted trees)"
"""The name of the reference in tables; no candidate can have it."""


class Reference(Config):
    """Boosted trees on the test samples, beside float."""

    figures: dict[str, float]
    """accuracy, or rmse and r2; empty where there are no trees."""
    lost: Interval | None = None
    """How much worse than float they are: the drop in accuracy, or the increase of the RMSE."""
    size_bytes: int = 0
    failure: str = ""
    """Why there are none."""

    @property
    def sentence(self) -> str:
        """How they compare with float."""
        if self.lost is None:
            return f"the reference could not be made: {self.failure}"
        way = "less accurate than" if self.lost.lower > 0 else "not shown to be better or worse than"
        if self.lost.upper < 0:
            way = "more accurate than"
        if self.lost.too_few:
            way = "on too few samples to tell from"
        return f"a reference on the same split, no candidate; {way} float"


def compare_with_reference(
    outputs: np.ndarray, float_outputs: np.ndarray, samples: EncodedSamples, size_bytes: int, confidence: float
) -> Reference:
    """Return the reference beside float.

    Args:
        outputs: of the reference for the test ``samples``, [N, K] or [N, 1].
        float_outputs: of the float model.
    """
    labels = samples.labels
    if samples.class_names:
        right, float_right = (each.argmax(axis=1) == labels for each in (outputs, float_outputs))
        lost = accuracy_drop(count_pairs(float_right, right), confidence)
        return Reference(figures={"accuracy": float(right.mean())}, lost=lost, size_bytes=size_bytes)
    errors, float_errors = (each[:, 0].astype(np.float64) - labels for each in (outputs, float_outputs))
    spread = float(((labels - labels.mean()) ** 2).mean())
    figures = {"rmse": root_mean_square(errors), "r2": 1 - float((errors**2).mean()) / spread if spread else 0.0}
    lost = resample_rmse_increase(float_errors, errors).interval(confidence)
    return Reference(figures=figures, lost=lost, size_bytes=size_bytes)
