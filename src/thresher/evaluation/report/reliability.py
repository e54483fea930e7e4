"""Reliability: how often the likeliest class is right, by how probable it is said to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thresher.evaluation.probability_metrics import NUM_BINS, expected_calibration_error, reliability
from thresher.evaluation.report.context import Account, Predictions
from thresher.evaluation.report.style import LINE, MUTED, PANEL, QUALIFIES, WINNER, plain_ticks, plot_settings
from thresher.evaluation.temperature import undo

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION = (
    "Test samples by the probability of their likeliest class: how many there are, that probability in the mean, and "
    "the share of right answers"
)


@dataclass(frozen=True)
class Curve:
    """What some probabilities come to, by 15 equally wide bins of that of the likeliest class.

    Attributes:
        counts: samples in each bin, int64 [15].
        sure: their mean probability, [15]; NaN where there are none.
        right: share of them that are right, [15].
        error: the expected calibration error.
    """

    name: str
    counts: np.ndarray
    sure: np.ndarray
    right: np.ndarray
    error: float


def reliability_curve(name: str, outputs: np.ndarray, labels: np.ndarray) -> Curve:
    """Return the curve of ``outputs`` [N, K]."""
    bins, sure, right = reliability(outputs, labels)
    counts = np.bincount(bins, minlength=NUM_BINS)
    summed = [np.bincount(bins, weights=values, minlength=NUM_BINS) for values in (sure, right)]
    with np.errstate(invalid="ignore"):
        return Curve(name, counts, summed[0] / counts, summed[1] / counts, expected_calibration_error(outputs, labels))


def reliability_curves(account: Account, predictions: Predictions) -> list[list[Curve]]:
    """Return the curves of each model that is compared: as it is served, and before it was calibrated, if it was."""
    drawn = []
    for name in account.compared:
        outputs, found = predictions.outputs[name], account.temperatures.get(name)
        curves = [reliability_curve(name, outputs, predictions.labels)]
        if found is not None and not found.reason:
            before = undo(outputs, found.temperature)
            curves.append(reliability_curve(f"{name} before calibration", before, predictions.labels))
        drawn.append(curves)
    return drawn


def plot_reliability(curves: list[Curve]) -> Figure:
    """Return accuracy over probability of the first curve beside the others, and below how many samples each bin has.

    Source: DeGroot and Fienberg, "The Comparison and Evaluation of Forecasters", 1983.
    """
    from matplotlib.figure import Figure

    served = curves[0]
    with plot_settings():
        figure = Figure(figsize=PANEL, layout="constrained")
        axis, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        axis.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle="--", zorder=0)
        for curve, colour, marker in zip(curves, (QUALIFIES, WINNER), ("o-", "s:"), strict=False):
            some = curve.counts > 0
            label = f"{curve.name}: error {curve.error:.3f}"
            axis.plot(curve.sure[some], curve.right[some], marker, color=colour, markersize=4, label=label)
        edges = np.linspace(0, 1, NUM_BINS + 1)
        below.bar(edges[:-1], served.counts, width=1 / NUM_BINS, align="edge", color=LINE)
        axis.set_ylabel("share that is right")
        below.set_xlabel("probability of the likeliest class")
        below.set_ylabel("samples")
        axis.set_xlim(0, 1)
        axis.set_ylim(0, 1.02)
        axis.grid()
        axis.legend(loc="lower right")
        for direction in (axis.xaxis, axis.yaxis, below.yaxis):
            plain_ticks(direction, logarithmic=False)
    return figure


def reliability_columns(account: Account) -> tuple[str, ...]:
    """Return the names of the columns of `reliability_rows`."""
    each = [(f"{name}: samples", "probability", "right") for name in account.compared]
    return ("probability", *(column for columns in each for column in columns))


def reliability_rows(curves: list[list[Curve]]) -> list[tuple[str, ...]]:
    """Return a row a bin that any model has samples in, of what is served alone."""
    served = [each[0] for each in curves]
    rows = []
    for place in range(NUM_BINS):
        if any(curve.counts[place] for curve in served):
            cells = [cell for curve in served for cell in _cells(curve, place)]
            rows.append((f"{place / NUM_BINS:.2f} to {(place + 1) / NUM_BINS:.2f}", *cells))
    return rows


def _cells(curve: Curve, place: int) -> tuple[str, str, str]:
    if not curve.counts[place]:
        return "0", "-", "-"
    return f"{curve.counts[place]:,}", f"{curve.sure[place]:.3f}", f"{curve.right[place]:.3f}"
