"""Which classes are taken for which, before and after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from thresher.evaluation.report.context import Predictions
from thresher.modalities.decision import DecisionRule, choose_classes

MAX_CLASSES = 30
"""The most classes that a matrix shows; of more, it names the pairs that are confused most."""
MAX_PAIRS = 25


@dataclass(frozen=True)
class Matrix:
    """Counts of test samples.

    Attributes:
        counts: [true class, predicted class]; of a difference, after less before.
        is_difference: whether it is one.
    """

    title: str
    counts: np.ndarray
    is_difference: bool = False

    def strength(self, row: int, column: int) -> int:
        """Return how dark a cell is, 0 to 100: its share of the class, or of the largest change."""
        whole = np.abs(self.counts).max() if self.is_difference else self.counts[row].sum()
        return round(100 * abs(int(self.counts[row, column])) / max(1, int(whole)))

    def classes(self, row: int, column: int) -> str:
        """Return the words by which the page's style knows a cell.

        Of a difference, more on the diagonal is good, and so is less beside it.
        """
        words = ["right"] * (row == column)
        if self.counts[row, column] == 0:
            words.append("zero")
        elif self.is_difference:
            words.append("tone-good" if (row == column) == (self.counts[row, column] > 0) else "tone-bad")
        return " ".join(words)


def confusion_matrix(labels: np.ndarray, outputs: np.ndarray, rule: DecisionRule | None = None) -> np.ndarray:
    """Return how many samples of each class were given each class, int64 [K, K]: rows are true, columns predicted.

    Args:
        labels: classes [N].
        outputs: probabilities [N, K].
        rule: by which they make classes.
    """
    num_classes = outputs.shape[1]
    pairs = labels * num_classes + choose_classes(outputs, rule)
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def matrices(predictions: Predictions, candidates: tuple[str, ...]) -> list[Matrix]:
    """Return the matrix of each candidate; of two, their difference as well."""
    made = [Matrix(name, _counts(predictions, name)) for name in candidates]
    if len(made) == 2:
        before, after = made
        made.append(Matrix(f"{after.title} less {before.title}", after.counts - before.counts, is_difference=True))
    return made


def _counts(predictions: Predictions, name: str) -> np.ndarray:
    return confusion_matrix(predictions.labels, predictions.outputs[name], predictions.rules.get(name))


def confused_pairs(predictions: Predictions, candidates: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return rows (true class, predicted class, count of each candidate) of the most frequent errors, any candidate's.

    At most 25, the most frequent first.
    """
    counts = np.stack([_counts(predictions, name) for name in candidates])
    most = counts.max(axis=0)
    np.fill_diagonal(most, 0)
    order = np.argsort(-most, axis=None, kind="stable")[:MAX_PAIRS]
    places = [divmod(int(place), most.shape[1]) for place in order if most.flat[place] > 0]
    names = predictions.class_names
    return [(names[true], names[given], *(f"{count:,}" for count in counts[:, true, given])) for true, given in places]
