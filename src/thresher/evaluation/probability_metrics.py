"""Metrics of the probabilities of classes: scikit-learn's values, and the same for many resamples at once.

Each function takes the probabilities [N, K] and the labels, int64 [N]. That of a resample gets counts, float64 [R, N]:
how often it took each sample.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from thresher.evaluation.quality import log_losses

OfCounts = Callable[[np.ndarray], np.ndarray]
NUM_BINS = 15
"""Of the expected calibration error: as many as in its source, all equally wide."""


def means(values: np.ndarray) -> OfCounts:
    """Return the function of the mean of ``values`` [N]."""
    return lambda counts: np.asarray(counts @ values / counts.sum(axis=1))


def log_loss(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean of the negative logarithm of the right class's probability, in nats."""
    return float(log_losses(outputs, labels).mean())


def log_loss_means(outputs: np.ndarray, labels: np.ndarray) -> OfCounts:
    return means(log_losses(outputs, labels))


def brier(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean squared error of the probabilities: from 0 to 1 of two classes, from 0 to 2 of more."""
    return float(_squared_distances(outputs, labels).mean())


def briers(outputs: np.ndarray, labels: np.ndarray) -> OfCounts:
    return means(_squared_distances(outputs, labels))


def _squared_distances(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    missed = outputs.astype(np.float64)
    missed[np.arange(len(labels)), labels] -= 1
    squares: np.ndarray = (missed**2).sum(axis=1)
    return squares / 2 if outputs.shape[1] == 2 else squares


def in_top_k(outputs: np.ndarray, labels: np.ndarray, k: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the one share that the accuracy in ``k`` guesses is; of equal probabilities the later class is first."""
    guesses = np.argsort(outputs, axis=1, kind="stable")[:, ::-1][:, : int(k)]
    return (guesses == labels[:, None]).any(axis=1), np.zeros(len(labels), dtype=np.int64)


def top_k_accuracy(outputs: np.ndarray, labels: np.ndarray, k: float) -> float:
    """Return how often the right class is among the ``k`` most probable."""
    return float(in_top_k(outputs, labels, k)[0].mean())


def top_k_accuracies(outputs: np.ndarray, labels: np.ndarray, k: float) -> OfCounts:
    return means(in_top_k(outputs, labels, k)[0].astype(np.float64))


def expected_calibration_error(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Return by how much the probability of the likeliest class misses how often it is right, over 15 bins.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """
    return float(calibration_errors(outputs, labels)(np.ones((1, len(labels))))[0])


def calibration_errors(outputs: np.ndarray, labels: np.ndarray) -> OfCounts:
    bins, sure, right = reliability(outputs, labels)
    missed = np.zeros((len(labels), NUM_BINS))
    missed[np.arange(len(labels)), bins] = right - sure
    return lambda counts: np.asarray(np.abs(counts @ missed).sum(axis=1) / counts.sum(axis=1))


def reliability(outputs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the bin of each sample, how probable its likeliest class is, and whether that is right, each [N]."""
    sure = outputs.max(axis=1).astype(np.float64)
    bins = np.clip(np.ceil(sure * NUM_BINS).astype(np.int64) - 1, 0, NUM_BINS - 1)
    return bins, sure, outputs.argmax(axis=1) == labels


def roc_auc(outputs: np.ndarray, labels: np.ndarray, label: int | None = None) -> float:
    """Return the area under the ROC curve of class ``label`` against the rest; else the mean over all classes."""
    from sklearn.metrics import roc_auc_score

    return float(np.mean([roc_auc_score(labels == each, outputs[:, each]) for each in _each(outputs, label)]))


def roc_aucs(outputs: np.ndarray, labels: np.ndarray, label: int | None = None) -> OfCounts:
    return _mean_of([_roc_aucs(outputs[:, each], labels == each) for each in _each(outputs, label)])


def average_precision(outputs: np.ndarray, labels: np.ndarray, label: int | None = None) -> float:
    """Return the area under precision over recall of class ``label``; else the mean over all classes."""
    from sklearn.metrics import average_precision_score

    each = [average_precision_score(labels == each, outputs[:, each]) for each in _each(outputs, label)]
    return float(np.mean(each))


def average_precisions(outputs: np.ndarray, labels: np.ndarray, label: int | None = None) -> OfCounts:
    return _mean_of([_average_precisions(outputs[:, each], labels == each) for each in _each(outputs, label)])


def _each(outputs: np.ndarray, label: int | None) -> range:
    """Return the classes to look at one by one: of two classes both have the same area under the ROC curve."""
    return range(outputs.shape[1]) if label is None else range(label, label + 1)


def _mean_of(functions: list[OfCounts]) -> OfCounts:
    return lambda counts: np.asarray(np.mean([function(counts) for function in functions], axis=0))


def _ranked(scores: np.ndarray, hits: np.ndarray) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the function from counts to hits and misses at each different score, the highest first, [R, S] each."""
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.nan) != 0)
    sorted_hits = hits[order]

    def of(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        taken = counts[:, order]
        return (
            np.add.reduceat(taken * sorted_hits, starts, axis=1),
            np.add.reduceat(taken * ~sorted_hits, starts, axis=1),
        )

    return of


def _roc_aucs(scores: np.ndarray, hits: np.ndarray) -> OfCounts:
    ranked = _ranked(scores, hits)

    def of(counts: np.ndarray) -> np.ndarray:
        found, missed = ranked(counts)
        # A miss is below all hits at higher scores, and half below those at its own.
        above = np.cumsum(found, axis=1) - found / 2
        pairs = found.sum(axis=1) * missed.sum(axis=1)
        with np.errstate(invalid="ignore"):
            return np.asarray((above * missed).sum(axis=1) / pairs)

    return of


def _average_precisions(scores: np.ndarray, hits: np.ndarray) -> OfCounts:
    ranked = _ranked(scores, hits)

    def of(counts: np.ndarray) -> np.ndarray:
        found, missed = ranked(counts)
        with np.errstate(invalid="ignore"):
            precisions = np.nan_to_num(np.cumsum(found, axis=1) / np.cumsum(found + missed, axis=1))
            return np.asarray((precisions * found).sum(axis=1) / found.sum(axis=1))

    return of
