"""What labels must have for a metric to have a value: why it has none on a split, in a sentence, or nothing."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

Names = tuple[str, ...]


def a_sample_of_class(labels: np.ndarray, names: Names, label: int) -> str:
    """Recall, F1 or average precision of a class need samples of it."""
    return "" if (labels == label).any() else f"there is no sample of class '{names[label]}'"


def class_and_others(labels: np.ndarray, names: Names, label: int | None = None) -> str:
    """An ROC curve needs samples of a class and others; the mean of several needs that of each class."""
    if label is None:
        return each_class(labels, names) or _one_class(labels, names)
    return a_sample_of_class(labels, names, label) or _one_class(labels, names)


def class_that_is_named(labels: np.ndarray, names: Names, label: int | None = None) -> str:
    """Average precision is another one for each of two classes, so that one must be meant."""
    if label is None and len(names) == 2:
        return f"of two classes it is one of a class. Fix: average_precision[{names[1]}], or [{names[0]}]"
    return each_class(labels, names) if label is None else a_sample_of_class(labels, names, label)


def each_class(labels: np.ndarray, names: Names) -> str:
    """A mean over the classes needs samples of each."""
    missing = sorted(set(range(len(names))) - set(np.unique(labels).tolist()))
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return f"there is no sample of class '{names[missing[0]]}'{more}" if missing else ""


def two_classes(labels: np.ndarray, names: Names) -> str:
    """A correlation needs samples of more than one class."""
    return _one_class(labels, names)


def fewer_guesses_than_classes(labels: np.ndarray, names: Names, k: float) -> str:
    """With as many guesses as classes every model is right."""
    return f"with {len(names)} classes every model is right in {int(k)} guesses" if k >= len(names) else ""


def no_zero(labels: np.ndarray, names: Names) -> str:
    """An error is no share of 0."""
    return _of_values((labels == 0).sum(), "0, and no error is a share of that")


def above_minus_one(labels: np.ndarray, names: Names) -> str:
    """1 + label needs a logarithm."""
    return _of_values((labels <= -1).sum(), "-1 or less, and 1 + that has no logarithm")


def _one_class(labels: np.ndarray, names: Names) -> str:
    return "" if len(found := _found(labels)) > 1 else f"all samples are of class '{names[found[0]]}'"


def _found(labels: np.ndarray) -> list[int]:
    found: Iterable[int] = np.unique(labels).tolist()
    return list(found)


def _of_values(num: int, what: str) -> str:
    return f"{num:,} {'label is' if num == 1 else 'labels are'} {what}" if num else ""
