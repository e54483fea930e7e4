"""The verdict as a picture, for where people would rather look than read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thresher.evaluation.metrics import find_metric
from thresher.evaluation.verdict import Judged, Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WINNER, QUALIFIES, FAILS = "#1b7f3b", "#3465a4", "#b8b8b8"


def plot_verdict(verdict: Verdict) -> Figure:
    """Return accuracy over latency and over size, one point a candidate, with the Pareto front."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, metric, label, factor in (
        (axes[0], "latency_ms_p50", "median latency at the first batch size [us]", 1e3),
        (axes[1], "size_bytes", "size of the ONNX file [kB]", 1e-3),
    ):
        _plot_against(axis, verdict, metric, factor)
        axis.set_xlabel(label)
    axes[0].set_ylabel("accuracy on the test split")
    winner = f"winner: {verdict.winner}" if verdict.winner else "no candidate qualifies"
    figure.suptitle(f"{verdict.recipe}, {winner}  (whiskers: drop against float at {_confidence(verdict):.0%})")
    return figure


def _plot_against(axis: Axes, verdict: Verdict, metric: str, factor: float) -> None:
    for judged in verdict.candidates:
        x, drop, y = judged.metrics[metric].value * factor, judged.metrics["accuracy_drop"], _accuracy(judged)
        colour = WINNER if judged.wins else QUALIFIES if judged.qualifies else FAILS
        whiskers = [[max(0.0, drop.upper - drop.value)], [max(0.0, drop.value - drop.lower)]]
        axis.errorbar(x, y, yerr=whiskers, fmt="*" if judged.wins else "o", color=colour, capsize=3,
                      markersize=14 if judged.wins else 7, elinewidth=1)  # fmt: skip
        axis.annotate(judged.candidate, (x, y), xytext=(7, 5), textcoords="offset points", fontsize=9, color=colour)
    front = _pareto_front([(judged.metrics[metric].value * factor, _accuracy(judged)) for judged in verdict.candidates])
    axis.step(*zip(*front, strict=True), where="post", color=QUALIFIES, linewidth=0.8, linestyle=":", zorder=0)
    axis.grid(alpha=0.25)
    axis.margins(x=0.18, y=0.12)
    axis.set_title(f"less is better: {metric}" if find_metric(metric).smaller_is_better else metric, fontsize=10)


def _pareto_front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points (cost, quality) that no other beats in both, by rising cost."""
    front: list[tuple[float, float]] = []
    for cost, quality in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or quality > front[-1][1]:
            front.append((cost, quality))
    return front


def _accuracy(judged: Judged) -> float:
    return judged.metrics["accuracy"].value


def _confidence(verdict: Verdict) -> float:
    return verdict.candidates[0].metrics["accuracy_drop"].confidence
