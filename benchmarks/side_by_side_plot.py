"""The points of `side_by_side.py` as a picture: loss over size, and over speed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from side_by_side import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#7f7f7f")
"""One a tool, Thresher's first."""


def plot(points: list[Point], reference: str, winner: str, bound: float | None, file: Path) -> None:
    """Write the picture to ``file``; the winner is a star, and what lies above the dashed line loses too much.

    What loses more than twice the bound lies outside.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    base = next(point for point in points if point.name == reference)
    size = next(iter(base.medians))
    smaller = {point.name: base.size_bytes / point.size_bytes for point in points}
    speeds = {point.name: point.speed_beside(base, size).value for point in points}
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    draw(left, points, smaller, winner)
    draw(right, points, speeds, winner)
    left.set(xlabel="times as small as float", ylabel="accuracy lost, upper bound")
    right.set(xlabel=f"times as fast as float, batch {size}")
    for axes in (left, right):
        axes.set_ylim(top=None if bound is None else 2 * bound)
        axes.grid(alpha=0.3)
        if bound is not None:
            axes.axhline(bound, color="black", linestyle="--", linewidth=0.8)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize="small")
    figure.savefig(file, dpi=80)
    pyplot.close(figure)


def draw(axes: Axes, points: list[Point], places: dict[str, float], winner: str) -> None:
    """Draw each tool's points in its colour."""
    for tool, colour in zip(dict.fromkeys(point.tool for point in points), COLOURS, strict=False):
        own = [point for point in points if point.tool == tool]
        losses = [point.loss.upper for point in own]
        axes.scatter([places[point.name] for point in own], losses, color=colour, label=tool, s=24, alpha=0.8)
    star = next(point for point in points if point.name == winner)
    axes.scatter([places[winner]], [star.loss.upper], marker="*", color=COLOURS[0], s=220, edgecolor="black", zorder=3)
