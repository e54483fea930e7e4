"""How much a network loses with each layer's channels, one layer at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from thresher.evaluation.report.context import Curve
from thresher.evaluation.report.style import BOUND, FAILS, INK, LINE, MUTED, PANEL, QUALIFIES, WINNER, plot_settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = (FAILS, QUALIFIES, BOUND, WINNER, INK)
MARKERS = "osD^v"
"""The most sensitive layers have these, one each; the others are grey."""
METRICS = {"accuracy": "accuracy", "rmse": "RMSE"}


def plot_sensitivity(curves: Mapping[str, Curve], baseline: float, metric: str = "accuracy") -> Figure:
    """Return the metric over the share of a layer's channels that are gone; the most sensitive layers are named.

    Args:
        curves: group of layers -> (ratio, metric on the validation samples) by rising ratio.
        baseline: the metric of the network as it is.
    """
    from matplotlib.figure import Figure

    order = by_sensitivity(curves, metric)
    with plot_settings():
        figure = Figure(figsize=(PANEL[0] * 1.25, PANEL[1] + 0.4), layout="constrained")
        axis = figure.subplots()
        axis.axhline(baseline, color=MUTED, linewidth=0.9, linestyle="--", zorder=0)
        for rank, group in enumerate(order):
            ratios, values = zip(*curves[group], strict=True)
            style: dict[str, Any]
            if rank < len(COLOURS):
                style = {"color": COLOURS[rank], "marker": MARKERS[rank], "label": group, "zorder": 3}
            else:
                style = {"color": LINE, "label": "the others" if rank == len(COLOURS) else None}
            axis.plot([100 * ratio for ratio in ratios], values, linewidth=1.3, markersize=4.5, **style)
        axis.set_xlabel("share of the layer's channels that are gone, %")
        axis.set_ylabel(f"{METRICS[metric]} on the validation split")
        axis.grid()
        figure.legend(loc="outside lower center", ncols=2, title="most sensitive first", title_fontsize=9)
    return figure


def by_sensitivity(curves: Mapping[str, Curve], metric: str) -> list[str]:
    """Return the groups of layers, the one that loses most over all ratios first."""
    sign = 1 if metric == "accuracy" else -1
    return sorted(curves, key=lambda group: sign * sum(value for _, value in curves[group]))
