"""The exported float model on the validation split, beside what training said of it there."""

from __future__ import annotations

import numpy as np

from thresher.config import Config
from thresher.errors import ParityError
from thresher.evaluation.metrics import CONFIDENCE, format_value
from thresher.evaluation.statistics import Interval, balanced_accuracy, resample_rmse_increase
from thresher.modalities.samples import EncodedSamples

NEGLIGIBLE = 0.01
"""Share of an RMSE by which the file may miss it in any case: in 16 bits, training rounds as much."""


class ExportedQuality(Config):
    """What the float model is worth on the validation samples, in training and as the file that is judged."""

    metric: str
    """accuracy or rmse."""
    reported: float
    """The value that training or the import reported."""
    found: Interval
    """The value measured on the exported file."""
    num_samples: int

    @property
    def sentence(self) -> str:
        """What training reported and what the exported file has, in one sentence."""
        reported, value = (format_value(self.metric, number) for number in (self.reported, self.found.value))
        return f"validation {self.metric} {reported} as trained, {value} as exported"


def check_exported(outputs: np.ndarray, samples: EncodedSamples, reported: float) -> ExportedQuality:
    """Return what the exported file is worth on the validation ``samples``.

    Both are of the same weights on the same samples, so that all but the last bits should agree. The parity check sees
    a few hundred answers; this sees that preparation, labels and units mean the same at both ends.

    Args:
        outputs: of the file, [N, K] or [N, 1].
        reported: accuracy or RMSE as training had it.

    Raises:
        ParityError: what training reported lies outside of the interval of what the file comes to.
    """
    labels, count = samples.labels, np.array([len(samples)])
    if samples.class_names:
        right = np.array([(outputs.argmax(1) == labels).sum()])
        metric, found = "accuracy", balanced_accuracy(right, count, CONFIDENCE)  # of one class: all samples
        is_close = found.lower <= reported <= found.upper
    else:
        errors = outputs[:, 0].astype(np.float64) - labels
        metric, found = "rmse", resample_rmse_increase(np.zeros_like(errors), errors).interval(CONFIDENCE)
        slack = NEGLIGIBLE * max(abs(reported), abs(found.value))
        is_close = found.lower - slack <= reported <= found.upper + slack
    if not is_close:
        value, lower, upper, told = (
            format_value(metric, number) for number in (found.value, found.lower, found.upper, reported)
        )
        raise ParityError(
            f"The exported float model has {metric} {value} [{lower}, {upper}] on the {len(samples):,} validation "
            f"samples, and training reported {told} on the same. What would be judged and served is not what was "
            "trained. Fix: inputs and labels that are neither huge nor tiny; else please report it with the recipe."
        )
    return ExportedQuality(metric=metric, reported=reported, found=found, num_samples=len(samples))
