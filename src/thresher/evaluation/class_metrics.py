"""Metrics of the classes that are served: scikit-learn's values, and the same for many resamples at once.

Each function takes the classes and the labels, int64 [N]. That of a resample gets counts, float64 [R, N]: how often it
took each sample.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

OfCounts = Callable[[np.ndarray], np.ndarray]
"""Maps counts [R, N] to values [R]; NaN where there is none."""
Shares = tuple[np.ndarray, np.ndarray]
"""Which answers are right, bool [N], and to which share each sample belongs, -1 to none."""


def _ratio(part: np.ndarray, whole: np.ndarray, empty: float = np.nan) -> np.ndarray:
    """Return ``part`` / ``whole``, and ``empty`` where that is a division by zero."""
    found = np.full(np.broadcast(part, whole).shape, empty)
    np.divide(part, whole, out=found, where=whole != 0)
    return found


def _tally(classes: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how often each class was answered rightly, answered, and right, each [R, K]."""
    known = np.arange(max(classes.max(), labels.max()) + 1)
    said, true = classes[:, None] == known, labels[:, None] == known
    return counts @ (said & true), counts @ said, counts @ true


def accuracy(classes: np.ndarray, labels: np.ndarray) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, classes))


def accuracies(classes: np.ndarray, labels: np.ndarray) -> OfCounts:
    return lambda counts: np.asarray(counts @ (classes == labels) / counts.sum(axis=1))


def right_answers(classes: np.ndarray, labels: np.ndarray) -> Shares:
    """Return the one share that accuracy is."""
    return classes == labels, np.zeros(len(labels), dtype=np.int64)


def right_answers_by_class(classes: np.ndarray, labels: np.ndarray) -> Shares:
    """Return the shares whose mean is the balanced accuracy."""
    return classes == labels, labels


def balanced_accuracy(classes: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over the classes that have samples."""
    return float(np.mean([(classes == labels)[labels == label].mean() for label in np.unique(labels)]))


def balanced_accuracies(classes: np.ndarray, labels: np.ndarray) -> OfCounts:
    def of(counts: np.ndarray) -> np.ndarray:
        right, _, true = _tally(classes, labels, counts)
        return np.asarray(np.nanmean(_ratio(right, true), axis=1))

    return of


def found_of_class(classes: np.ndarray, labels: np.ndarray, label: int) -> Shares:
    """Return the share that recall is: of the samples of the class."""
    return classes == label, np.where(labels == label, 0, -1)


def right_of_answered(classes: np.ndarray, labels: np.ndarray, label: int) -> Shares:
    """Return the share that precision is: of the answers with the class."""
    return labels == label, np.where(classes == label, 0, -1)


def precision(classes: np.ndarray, labels: np.ndarray, label: int) -> float:
    """Return the share of right answers among those with class ``label``, 0 where there are none."""
    return _of_classes("precision_score", classes, labels, only=label)


def recall(classes: np.ndarray, labels: np.ndarray, label: int) -> float:
    """Return the share of the samples of class ``label`` that are found."""
    return _of_classes("recall_score", classes, labels, only=label)


def f1(classes: np.ndarray, labels: np.ndarray, label: int) -> float:
    """Return the harmonic mean of precision and recall of class ``label``."""
    return _of_classes("f1_score", classes, labels, only=label)


def precision_macro(classes: np.ndarray, labels: np.ndarray) -> float:
    return _of_classes("precision_score", classes, labels)


def recall_macro(classes: np.ndarray, labels: np.ndarray) -> float:
    return _of_classes("recall_score", classes, labels)


def f1_macro(classes: np.ndarray, labels: np.ndarray) -> float:
    return _of_classes("f1_score", classes, labels)


def precision_weighted(classes: np.ndarray, labels: np.ndarray) -> float:
    return _of_classes("precision_score", classes, labels, average="weighted")


def recall_weighted(classes: np.ndarray, labels: np.ndarray) -> float:
    return _of_classes("recall_score", classes, labels, average="weighted")


def f1_weighted(classes: np.ndarray, labels: np.ndarray) -> float:
    return _of_classes("f1_score", classes, labels, average="weighted")


def _of_classes(
    score: str, classes: np.ndarray, labels: np.ndarray, average: str = "macro", only: int | None = None
) -> float:
    from sklearn import metrics

    asked = None if only is None else [only]
    return float(getattr(metrics, score)(labels, classes, labels=asked, average=average, zero_division=0.0))


def precisions(classes: np.ndarray, labels: np.ndarray, label: int) -> OfCounts:
    return lambda counts: _ratio(counts @ ((classes == label) & (labels == label)), counts @ (classes == label), 0.0)


def recalls(classes: np.ndarray, labels: np.ndarray, label: int) -> OfCounts:
    return lambda counts: _ratio(counts @ ((classes == label) & (labels == label)), counts @ (labels == label))


def f1s(classes: np.ndarray, labels: np.ndarray, label: int) -> OfCounts:
    either = (classes == label).astype(np.float64) + (labels == label)
    return lambda counts: _ratio(2 * (counts @ ((classes == label) & (labels == label))), counts @ either)


def precisions_macro(classes: np.ndarray, labels: np.ndarray) -> OfCounts:
    return lambda counts: _macro(_precisions, classes, labels, counts)


def recalls_macro(classes: np.ndarray, labels: np.ndarray) -> OfCounts:
    return lambda counts: _macro(_recalls, classes, labels, counts)


def f1s_macro(classes: np.ndarray, labels: np.ndarray) -> OfCounts:
    return lambda counts: _macro(_f1s, classes, labels, counts)


def precisions_weighted(classes: np.ndarray, labels: np.ndarray) -> OfCounts:
    return lambda counts: _weighted(_precisions, classes, labels, counts)


def recalls_weighted(classes: np.ndarray, labels: np.ndarray) -> OfCounts:
    return lambda counts: _weighted(_recalls, classes, labels, counts)


def f1s_weighted(classes: np.ndarray, labels: np.ndarray) -> OfCounts:
    return lambda counts: _weighted(_f1s, classes, labels, counts)


Each = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Maps rightly answered, answered and right of each class to its figure, all [R, K]."""


def _precisions(right: np.ndarray, said: np.ndarray, true: np.ndarray) -> np.ndarray:
    return _ratio(right, said, 0.0)


def _recalls(right: np.ndarray, said: np.ndarray, true: np.ndarray) -> np.ndarray:
    return _ratio(right, true)


def _f1s(right: np.ndarray, said: np.ndarray, true: np.ndarray) -> np.ndarray:
    return _ratio(2 * right, said + true)


def _macro(each: Each, classes: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the mean over the classes; there is none of a resample that misses one."""
    right, said, true = _tally(classes, labels, counts)
    return np.where((true > 0).all(axis=1), each(right, said, true).mean(axis=1), np.nan)


def _weighted(each: Each, classes: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the mean over the samples of the figure of their class."""
    right, said, true = _tally(classes, labels, counts)
    return np.asarray((np.nan_to_num(each(right, said, true)) * true).sum(axis=1) / true.sum(axis=1))


def cost(classes: np.ndarray, labels: np.ndarray, label: int, missed: float, false_alarm: float) -> float:
    """Return the mean cost of a sample: of one of class ``label`` that is missed, and of another that is given it."""
    return float(_cost_each(classes, labels, label, missed, false_alarm).mean())


def costs(classes: np.ndarray, labels: np.ndarray, label: int, missed: float, false_alarm: float) -> OfCounts:
    each = _cost_each(classes, labels, label, missed, false_alarm)
    return lambda counts: np.asarray(counts @ each / counts.sum(axis=1))


def _cost_each(classes: np.ndarray, labels: np.ndarray, label: int, missed: float, false_alarm: float) -> np.ndarray:
    said, is_so = classes == label, labels == label
    return np.asarray(missed * (is_so & ~said) + false_alarm * (said & ~is_so))


def mcc(classes: np.ndarray, labels: np.ndarray) -> float:
    """Return Matthews' correlation coefficient, of any number of classes; 0 where all answers are one class."""
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(labels, classes))


def mccs(classes: np.ndarray, labels: np.ndarray) -> OfCounts:
    def of(counts: np.ndarray) -> np.ndarray:
        right, said, true = _tally(classes, labels, counts)
        n = counts.sum(axis=1)
        together = right.sum(axis=1) * n - (said * true).sum(axis=1)
        spreads = [n**2 - (each**2).sum(axis=1) for each in (said, true)]
        return _ratio(together, np.sqrt(spreads[0]) * np.sqrt(spreads[1]), 0.0)

    return of
