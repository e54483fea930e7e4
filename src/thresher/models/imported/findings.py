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
    """The opset of the ONNX file."""
    metric: str
    """accuracy or rmse."""
    value: float
    """The value of the metric on the validation samples."""
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
        said += f" on {self.num_samples:,} samples of data.train, which it may have been trained on"
        return said + "".join(f". {note}" for note in self.notes)


def score(outputs: np.ndarray, samples: EncodedSamples) -> tuple[str, float, float]:
    """Return (metric, its value, the value of a model that ignores its input) of ``outputs`` on ``samples``."""
    labels = samples.labels
    if samples.class_names:
        counts = np.bincount(labels, minlength=len(samples.class_names))
        return "accuracy", float((outputs.argmax(1) == labels).mean()), float(counts.max() / len(labels))
    errors = outputs[:, 0].astype(np.float64) - labels
    return "rmse", float(np.sqrt((errors**2).mean())), float(labels.std())


def doubt_order(outputs: np.ndarray, samples: EncodedSamples, field: str, order: tuple[int, ...] | None = None) -> str:
    """Return in a sentence which classes seem to stand in another order in the model's answers, or nothing.

    The confusion matrix is compared with its best permutation (the assignment of `scipy.optimize`). It is said where
    most samples of the classes that would move are answered with one other class each, and by more than chance: three
    standard deviations of a count, and five samples.

    Args:
        field: which sets the order of the classes.
        order: place of each of the data's classes among the model's own answers, where they were put into an order.
    """
    if not samples.class_names:
        return ""
    from scipy.optimize import linear_sum_assignment

    names, answers = samples.class_names, outputs.argmax(1)
    known = samples.labels >= 0
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (samples.labels[known], answers[known]), 1)
    # With a small bonus for staying: classes that nothing tells apart are not said to have moved.
    _, places = linear_sum_assignment(counts * (len(names) + 1) + np.eye(len(names), dtype=np.int64), maximize=True)
    moved = np.flatnonzero(places != np.arange(len(names)))
    if not len(moved):
        return ""
    total, right = counts[moved].sum(), counts[moved, places[moved]].sum()
    gained = right - counts[moved, moved].sum()
    if gained < max(5, 3 * np.sqrt(total)) or right <= total / 2:
        return ""
    better = counts[np.arange(len(names)), places].sum() / max(1, counts.sum())
    told = ", ".join(f"{names[place]} for {names[label]}" for label, place in zip(moved, places[moved], strict=True))
    own = np.empty(len(names), object)
    own[places if order is None else np.array(order)[places]] = names
    return (
        f"The classes seem to stand in another order than the data's: it answers {told}. In its order the accuracy "
        f"would be {better:.4f}. Fix: {field}: [{', '.join(own)}]"
    )


def doubt_channels(outputs: np.ndarray, reversed_outputs: np.ndarray, samples: EncodedSamples) -> str:
    """Return in a sentence that images seem to be wanted with their channels reversed, or nothing.

    Args:
        reversed_outputs: what the model answers to the same images with blue first.
    """
    now, then = outputs.argmax(1) == samples.labels, reversed_outputs.argmax(1) == samples.labels
    gained, lost = int((then & ~now).sum()), int((now & ~then).sum())
    if gained - lost < max(5, 3 * np.sqrt(gained + lost)):
        return ""
    return (
        f"With red and blue exchanged its accuracy is {then.mean():.4f} in place of {now.mean():.4f} (of "
        f"{len(now):,} samples). Fix: channel_order: bgr, or rgb where bgr is said"
    )
