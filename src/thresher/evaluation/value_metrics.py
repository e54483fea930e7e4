"""Metrics of a regression: scikit-learn's values, and the same for many resamples at once.

Each function takes the values [N, 1] and the labels, float64 [N]. That of a resample gets counts, float64 [R, N]: how
often it took each sample.
"""

from __future__ import annotations

import numpy as np

from thresher.errors import CompressionError
from thresher.evaluation.probability_metrics import OfCounts, means


def _errors(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    errors: np.ndarray = outputs[:, 0].astype(np.float64) - labels
    return errors


def rmse(outputs: np.ndarray, labels: np.ndarray) -> float:
    return float(rmses(outputs, labels)(np.ones((1, len(labels))))[0])


def rmses(outputs: np.ndarray, labels: np.ndarray) -> OfCounts:
    squares = means(_errors(outputs, labels) ** 2)
    return lambda counts: np.sqrt(squares(counts))


def mae(outputs: np.ndarray, labels: np.ndarray) -> float:
    return float(np.abs(_errors(outputs, labels)).mean())


def maes(outputs: np.ndarray, labels: np.ndarray) -> OfCounts:
    return means(np.abs(_errors(outputs, labels)))


def r2(outputs: np.ndarray, labels: np.ndarray) -> float:
    from sklearn.metrics import r2_score

    return float(r2_score(labels, outputs[:, 0].astype(np.float64)))


def r2s(outputs: np.ndarray, labels: np.ndarray) -> OfCounts:
    squares, centered = means(_errors(outputs, labels) ** 2), labels - labels.mean()
    first, second = means(centered), means(centered**2)

    def of(counts: np.ndarray) -> np.ndarray:
        spread = second(counts) - first(counts) ** 2
        return np.where(spread > 0, 1 - squares(counts) / np.where(spread > 0, spread, 1), np.nan)

    return of


def mape(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean absolute error as a share of the label; 0.1 is 10 %."""
    from sklearn.metrics import mean_absolute_percentage_error

    return float(mean_absolute_percentage_error(labels, outputs[:, 0].astype(np.float64)))


def mapes(outputs: np.ndarray, labels: np.ndarray) -> OfCounts:
    return means(np.abs(_errors(outputs, labels) / labels))


def rmsle(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Return the RMSE of the logarithms of 1 + value; raises a CompressionError for a value that has none."""
    from sklearn.metrics import root_mean_squared_log_error

    values = outputs[:, 0].astype(np.float64)
    if (values <= -1).any():
        raise CompressionError(
            f"rmsle: the model answers {values.min():g}, and there is no logarithm of 1 + that. Fix: another metric, "
            "or labels that keep the answers above -1."
        )
    return float(root_mean_squared_log_error(labels, values))


def rmsles(outputs: np.ndarray, labels: np.ndarray) -> OfCounts:
    squares = means((np.log1p(outputs[:, 0].astype(np.float64)) - np.log1p(labels)) ** 2)
    return lambda counts: np.sqrt(squares(counts))


def median_absolute_error(outputs: np.ndarray, labels: np.ndarray) -> float:
    from sklearn.metrics import median_absolute_error as median

    return float(median(labels, outputs[:, 0].astype(np.float64)))


def median_absolute_errors(outputs: np.ndarray, labels: np.ndarray) -> OfCounts:
    errors = np.abs(_errors(outputs, labels))
    order = np.argsort(errors)

    def of(counts: np.ndarray) -> np.ndarray:
        taken, num = np.cumsum(counts[:, order], axis=1), counts.sum(axis=1)[:, None]
        # The sample in the middle, or both of them where the number is even.
        middle = [(taken < place).sum(axis=1) for place in (np.floor((num + 1) / 2), np.floor(num / 2) + 1)]
        values: np.ndarray = (errors[order][middle[0]] + errors[order][middle[1]]) / 2
        return values

    return of


def pinball(outputs: np.ndarray, labels: np.ndarray, quantile: float) -> float:
    """Return the mean pinball loss, which is least for the ``quantile`` of the labels."""
    from sklearn.metrics import mean_pinball_loss

    return float(mean_pinball_loss(labels, outputs[:, 0].astype(np.float64), alpha=quantile))


def pinballs(outputs: np.ndarray, labels: np.ndarray, quantile: float) -> OfCounts:
    errors = _errors(outputs, labels)
    return means(np.where(errors > 0, (1 - quantile) * errors, -quantile * errors))
