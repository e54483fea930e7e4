"""How much faster than float each candidate is, round by round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.report.style import FAILS, INK, MUTED, PANEL, WINNER, plain_ticks, plot_settings
from thresher.evaluation.verdict import Verdict
from thresher.models import FLOAT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LARGE_RATIO = 4.0
ROW = 0.42
"""Inches a candidate."""


def plot_speed(verdict: Verdict, evaluations: Mapping[str, Evaluation], batch_size: int) -> Figure:
    """Return every round's ratio, a row a candidate, with the median and its interval; float shows the noise."""
    from matplotlib.figure import Figure

    metric, names = f"speedup_batch{batch_size}", list(evaluations)
    with plot_settings():
        figure = Figure(figsize=(PANEL[0], 1.2 + ROW * len(names)), layout="constrained")
        axis = figure.subplots()
        axis.axvline(1.0, color=MUTED, linewidth=0.9, linestyle="--", zorder=0)
        for row, name in enumerate(names):
            if metric not in verdict.of(name).metrics:  # the machine was too busy to tell
                continue
            ratios = 1 / np.array(evaluations[name].latency_of(metric).round_ratios)
            _plot_row(axis, row, ratios, verdict, (name, metric))
        left, right = axis.get_xlim()
        if logarithmic := right > LARGE_RATIO * max(left, 1e-9):
            axis.set_xscale("log")
        plain_ticks(axis.xaxis, logarithmic)
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.4, -0.6)
        axis.tick_params(axis="y", length=0, labelcolor=INK)
        axis.grid(axis="x")
        axis.set_xlabel(f"times as fast as float, batch {batch_size}; a point a round")
    return figure


def _plot_row(axis: Axes, row: int, ratios: np.ndarray, verdict: Verdict, of: tuple[str, str]) -> None:
    interval = verdict.of(of[0]).metrics[of[1]]
    colour = WINNER if interval.lower > 1 else FAILS if interval.upper < 1 else MUTED
    colour = MUTED if of[0] == FLOAT else colour  # against itself, any difference is noise
    # Spread over the height of the row, so that rounds that came out alike are all seen.
    height = row + 0.22 * (np.arange(len(ratios)) % 7 - 3) / 3
    axis.plot(ratios, height, "o", color=colour, markersize=3.2, alpha=0.45, markeredgewidth=0)
    whiskers = [[max(0.0, interval.value - interval.lower)], [max(0.0, interval.upper - interval.value)]]
    axis.errorbar(interval.value, row, xerr=whiskers, fmt="D", color=INK, markersize=5, capsize=4, elinewidth=1.2)
