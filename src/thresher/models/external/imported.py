"""What was found out about a model that was trained elsewhere."""

from __future__ import annotations

from pathlib import PurePath

import numpy as np

from thresher.config import Config
from thresher.modalities.samples import EncodedSamples


class Imported(Config):
    """How a model's file was understood, and how good it is on the validation split."""

    file: str
    sha256: str
    takes: str
    """The model's own input."""
    answers: str
    """Its own output, and what was made of it."""
    opset: int | None = None
    """Of the ONNX file."""
    metric: str
    """accuracy or rmse."""
    value: float
    """Of the metric on the validation samples."""
    baseline: float
    """The metric of the most frequent class, or of the mean of the labels."""
    num_samples: int
    notes: tuple[str, ...] = ()
    """What a person should look at."""

    @property
    def is_informative(self) -> bool:
        """Whether it is better than its baseline."""
        return self.value > self.baseline if self.metric == "accuracy" else self.value < self.baseline

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        said = f"{PurePath(self.file).name}: {self.takes}; {self.answers}; validation {self.metric} {self.value:.4f}"
        return said + "".join(f". {note}" for note in self.notes)


def score(outputs: np.ndarray, samples: EncodedSamples) -> tuple[str, float, float]:
    """Return (metric, its value, the value of a model that ignores its input) of ``outputs`` on ``samples``."""
    labels = samples.labels
    if samples.class_names:
        counts = np.bincount(labels, minlength=len(samples.class_names))
        return "accuracy", float((outputs.argmax(1) == labels).mean()), float(counts.max() / len(labels))
    errors = outputs[:, 0].astype(np.float64) - labels
    return "rmse", float(np.sqrt((errors**2).mean())), float(labels.std())
