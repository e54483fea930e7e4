"""A regression before and after: what was predicted over what is true, and how far off it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thresher.evaluation.metrics import format_value
from thresher.evaluation.report.context import Predictions
from thresher.evaluation.report.style import MUTED, PANEL, QUALIFIES, plain_ticks, plot_settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_POINTS = 1200
"""The most points of a plot: more of them make a page of megabytes, and the picture stays the same."""
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)


def plot_values(predictions: Predictions, candidate: str) -> Figure:
    """Return predicted over true values on the test split, at most 1,200 samples, the same for every candidate."""
    from matplotlib.figure import Figure

    places = drawn_samples(len(predictions.labels))
    true, every = predictions.labels[places], list(predictions.outputs.values())
    values = predictions.outputs[candidate][places, 0]
    # One scale for all candidates, or they could not be compared.
    low = min(float(predictions.labels.min()), *(float(each[places].min()) for each in every))
    high = max(float(predictions.labels.max()), *(float(each[places].max()) for each in every))
    with plot_settings():
        figure = Figure(figsize=PANEL, layout="constrained")
        axis = figure.subplots()
        axis.plot([low, high], [low, high], color=MUTED, linewidth=0.9, linestyle="--", zorder=0)
        axis.plot(true, values, "o", color=QUALIFIES, markersize=3, alpha=0.35, markeredgewidth=0)
        axis.set_title(candidate)
        axis.set_xlabel("true value")
        axis.set_ylabel("predicted value")
        axis.grid()
        for direction in (axis.xaxis, axis.yaxis):
            plain_ticks(direction, logarithmic=False)
    return figure


def drawn_samples(num_samples: int) -> np.ndarray:
    """Return which of the test samples are drawn, int64 [n]."""
    if num_samples <= MAX_POINTS:
        return np.arange(num_samples)
    return np.sort(np.random.default_rng(0).choice(num_samples, MAX_POINTS, replace=False))


def error_table(predictions: Predictions, candidates: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return rows of text: a name, then the figure of each candidate."""
    errors = [predictions.outputs[name][:, 0].astype(np.float64) - predictions.labels for name in candidates]
    rows = [("mean error", *(format_value("rmse", float(each.mean())) for each in errors))]
    for share in SHARES:
        name = f"{share:.0%} of the errors are at most"
        rows.append((name, *(format_value("rmse", float(np.quantile(np.abs(each), share))) for each in errors)))
    return rows
