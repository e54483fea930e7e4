"""The verdict as a picture, for where people would rather look than read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thresher.evaluation.metrics import LOSS
from thresher.evaluation.verdict import Judged, Verdict
from thresher.models import FLOAT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WINNER, QUALIFIES, FAILS = "#1b7f3b", "#2f5f9e", "#8c5a5a"
LEGEND = {"wins": (WINNER, "*"), "qualifies": (QUALIFIES, "o"), "fails a requirement": (FAILS, "x")}
METRIC = {"classification": "accuracy", "regression": "rmse"}
AXIS = {"classification": "accuracy", "regression": "RMSE, less is better,"}
LABEL_BELOW = (8, -13)
LABEL_ABOVE = (8, 6)


def plot_verdict(verdict: Verdict) -> Figure:
    """Return accuracy, or RMSE, over latency and over size, one point a candidate, with the Pareto front."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    batch = min(int(name.partition("_batch")[2]) for name in verdict.candidates[0].metrics if "p50_batch" in name)
    _plot_against(axes[0], verdict, "latency_ms_p50", 1e3)
    axes[0].set_xlabel(f"median latency, batch {batch} [us]")
    _plot_against(axes[1], verdict, "size_bytes", 1e-3)
    axes[1].set_xlabel("size of the ONNX file [kB]")
    axes[0].set_ylabel(f"{AXIS[verdict.task]} on the test split")
    figure.suptitle(f"{verdict.recipe}: " + (f"{verdict.winner} wins" if verdict.winner else "no candidate qualifies"))
    _add_legend(figure, verdict)
    return figure


def _plot_against(axis: Axes, verdict: Verdict, metric: str, factor: float) -> None:
    quality, sign = METRIC[verdict.task], 1 if verdict.task == "classification" else -1
    points = [(judged.metrics[metric].value * factor, judged.metrics[quality].value) for judged in verdict.candidates]
    for judged, (x, y) in zip(verdict.candidates, points, strict=True):
        loss = judged.metrics[LOSS[verdict.task]]
        colour, marker = LEGEND[_state(judged)]
        # Below the point, then above: more loss is less accuracy, and more error.
        whiskers = [[max(0.0, loss.upper - loss.value)], [max(0.0, loss.value - loss.lower)]][::sign]
        size = 15 if judged.wins else 7
        axis.errorbar(x, y, yerr=whiskers, fmt=marker, color=colour, capsize=3, markersize=size, elinewidth=1)
    front = _pareto_front(points, sign)
    axis.step(*zip(*front, strict=True), where="post", color="grey", linewidth=0.9, linestyle=":", zorder=0)
    axis.axhline(verdict.of(FLOAT).metrics[quality].value, color="grey", linewidth=0.7, linestyle="--", zorder=0)
    axis.grid(alpha=0.2)
    axis.margins(x=0.2, y=0.12)
    _label_points(axis, verdict, points)


def _label_points(axis: Axes, verdict: Verdict, points: list[tuple[float, float]]) -> None:
    """Name every point; of two that lie close together, the lower one is named below."""
    span_x = max(x for x, _ in points) - min(x for x, _ in points) or 1
    span_y = max(y for _, y in points) - min(y for _, y in points) or 1
    for judged, (x, y) in zip(verdict.candidates, points, strict=True):
        close = [other for other in points if other != (x, y)
                 and abs(other[0] - x) < 0.25 * span_x and 0 <= other[1] - y < 0.08 * span_y]  # fmt: skip
        axis.annotate(judged.candidate, (x, y), xytext=LABEL_BELOW if close else LABEL_ABOVE,
                      textcoords="offset points", fontsize=9, color=LEGEND[_state(judged)][0])  # fmt: skip


def _add_legend(figure: Figure, verdict: Verdict) -> None:
    from matplotlib.lines import Line2D

    quality, loss = AXIS[verdict.task].partition(",")[0], LOSS[verdict.task].partition("_")[2]
    states = {_state(judged) for judged in verdict.candidates}
    handles = [Line2D([], [], color=colour, marker=marker, linestyle="", label=name)
               for name, (colour, marker) in LEGEND.items() if name in states]  # fmt: skip
    handles += [
        Line2D([], [], color="grey", linestyle="--", linewidth=0.7, label=f"float's {quality}"),
        Line2D([], [], color="grey", linestyle=":", linewidth=0.9, label="Pareto front"),
        Line2D(
            [],
            [],
            color="grey",
            marker="|",
            markersize=10,
            linestyle="",
            label=f"{loss}'s interval, {verdict.confidence:.0%}",
        ),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)


def _pareto_front(points: list[tuple[float, float]], sign: int = 1) -> list[tuple[float, float]]:
    """Return the points (cost, quality) that no other beats in both, by rising cost.

    Args:
        sign: 1 where more quality is better, -1 where less is, as of an error.
    """
    front: list[tuple[float, float]] = []
    for cost, quality in sorted(points, key=lambda point: (point[0], -sign * point[1])):
        if not front or sign * quality > sign * front[-1][1]:
            front.append((cost, quality))
    return front


def _state(judged: Judged) -> str:
    return "wins" if judged.wins else "qualifies" if judged.qualifies else "fails a requirement"
