"""Quality over cost, one point a candidate, with the front of those that no other beats in both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thresher.evaluation.metrics import LOSS
from thresher.evaluation.report.labels import label_points
from thresher.evaluation.report.style import BOUND, FAILS, MUTED, PANEL, QUALIFIES, WINNER, plain_ticks, plot_settings
from thresher.evaluation.selection import Selection
from thresher.evaluation.verdict import Judged, Verdict
from thresher.models import FLOAT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEGEND = {"wins": (WINNER, "*"), "qualifies": (QUALIFIES, "o"), "fails a requirement": (FAILS, "X")}
METRIC = {"classification": "accuracy", "regression": "rmse"}
AXIS = {"classification": "accuracy", "regression": "RMSE (less is better)"}
LARGE_RATIO = 12.0
"""The ratio of the largest to the smallest cost beyond which the axis is logarithmic."""


def cost_metrics(verdict: Verdict) -> tuple[str, ...]:
    """Return what quality is drawn over: the median latency at each batch size, and the size."""
    names = verdict.of(FLOAT).metrics
    return (*(name for name in names if name.startswith("latency_ms_p50_batch")), "size_bytes")


def plot_verdict(verdict: Verdict, selection: Selection) -> Figure:
    """Return quality over every cost of `cost_metrics`, side by side."""
    from matplotlib.figure import Figure

    with plot_settings():
        metrics = cost_metrics(verdict)
        figure = Figure(figsize=(PANEL[0] * len(metrics), 4.8), layout="constrained")
        axes = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
        _add_legend(figure, verdict, selection)
        won = f"{verdict.winner} wins" if verdict.winner else "no candidate qualifies"
        figure.suptitle(f"{verdict.recipe}: {won}")
        for axis, metric in zip(axes, metrics, strict=True):
            _plot_against(axis, verdict, metric, selection)
    return figure


def plot_pareto(verdict: Verdict, metric: str, selection: Selection) -> Figure:
    """Return quality over the one cost ``metric``."""
    from matplotlib.figure import Figure

    with plot_settings():
        figure = Figure(figsize=(PANEL[0], PANEL[1] + 0.5), layout="constrained")
        _add_legend(figure, verdict, selection)
        _plot_against(figure.subplots(), verdict, metric, selection)
    return figure


def pareto_front(points: list[tuple[float, float]], sign: int = 1) -> list[tuple[float, float]]:
    """Return the points (cost, quality) that no other beats in both, by rising cost.

    Args:
        sign: 1 where more quality is better, -1 where less is, as of an error.
    """
    front: list[tuple[float, float]] = []
    for cost, quality in sorted(points, key=lambda point: (point[0], -sign * point[1])):
        if not front or sign * quality > sign * front[-1][1]:
            front.append((cost, quality))
    return front


def measured(verdict: Verdict) -> list[Judged]:
    """Return the candidates that came to a model: the others have no figures."""
    return [judged for judged in verdict.candidates if judged.metrics]


def _plot_against(axis: Axes, verdict: Verdict, metric: str, selection: Selection) -> None:
    quality, sign = METRIC[verdict.task], 1 if verdict.task == "classification" else -1
    # Of a machine that was too busy to time a candidate there is no latency.
    factor, shown = _unit(metric), [judged for judged in measured(verdict) if metric in judged.metrics]
    points = [(judged.metrics[metric].value * factor, judged.metrics[quality].value) for judged in shown]
    for judged, (x, y) in zip(shown, points, strict=True):
        _plot_point(axis, judged, x, y, verdict.task)
    axis.axhline(verdict.of(FLOAT).metrics[quality].value, color=MUTED, linewidth=0.7, linestyle="--", zorder=0)
    costs = [x for x, _ in points]
    logarithmic = max(costs) > LARGE_RATIO * min(costs) > 0
    if logarithmic:
        axis.set_xscale("log")
    axis.margins(x=0.18, y=0.14)
    _plot_bounds(axis, verdict, metric, selection)
    front = pareto_front(points, sign)
    right, best = axis.get_xlim()[1], front[-1][1]
    axis.step(
        *zip(*front, (right, best), strict=True), where="post", color=MUTED, linewidth=0.9, linestyle=":", zorder=0
    )
    axis.set_xlim(right=right)
    axis.grid()
    plain_ticks(axis.xaxis, logarithmic)
    plain_ticks(axis.yaxis, logarithmic=False)
    axis.set_xlabel(_axis_name(metric) + (", logarithmic" if logarithmic else ""))
    if axis.get_subplotspec().is_first_col():  # type: ignore[union-attr]
        axis.set_ylabel(f"{AXIS[verdict.task]} on the test split")
    label_points(axis, [judged.candidate for judged in shown], points, [LEGEND[_state(judged)][0] for judged in shown])


def _plot_point(axis: Axes, judged: Judged, x: float, y: float, task: str) -> None:
    """Draw a candidate with how far its loss may be off."""
    loss = judged.metrics[LOSS[task]]
    colour, marker = LEGEND[_state(judged)]
    # Below the point, then above: more loss is less accuracy, and more error.
    whiskers = [[max(0.0, loss.upper - loss.value)], [max(0.0, loss.value - loss.lower)]]
    whiskers = whiskers[:: 1 if task == "classification" else -1]
    size = 14 if judged.wins else 7
    axis.errorbar(x, y, yerr=whiskers, fmt=marker, color=colour, capsize=3, markersize=size, elinewidth=1)


def _plot_bounds(axis: Axes, verdict: Verdict, metric: str, selection: Selection) -> None:
    """Draw the recipe's bounds on this cost and on the quality; those far off leave the points their room."""
    (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
    style = {"color": BOUND, "linewidth": 1.0, "linestyle": "-.", "zorder": 0}
    # The first batch size has two names.
    first = next((name for name in cost_metrics(verdict) if name.startswith("latency")), "") == metric
    names = {metric, "latency_ms_p50"} if first else {metric}
    for name in names & selection.require.keys():
        bound = selection.require[name].at_most
        if bound is not None:
            axis.axvline(bound * _unit(metric), **style)  # type: ignore[arg-type]
    for bound in quality_bounds(verdict, selection):
        axis.axhline(bound, **style)  # type: ignore[arg-type]
    height = top - bottom
    axis.set_xlim(left, right)
    bounds = [bound for bound in quality_bounds(verdict, selection) if bottom - height < bound < top + height]
    axis.set_ylim(min([bottom, *(bound - 0.05 * height for bound in bounds)]),
                  max([top, *(bound + 0.05 * height for bound in bounds)]))  # fmt: skip


def quality_bounds(verdict: Verdict, selection: Selection) -> list[float]:
    """Return what the recipe demands of the quality, on its own axis: a drop is one from the float model's."""
    quality, loss = METRIC[verdict.task], LOSS[verdict.task]
    bounds = []
    if requirement := selection.require.get(quality):
        bounds += [bound for bound in (requirement.at_least, requirement.at_most) if bound is not None]
    requirement = selection.require.get(loss)
    if requirement and requirement.at_most is not None:
        sign = 1 if verdict.task == "classification" else -1
        bounds.append(verdict.of(FLOAT).metrics[quality].value - sign * requirement.at_most)
    return bounds


def _add_legend(figure: Figure, verdict: Verdict, selection: Selection) -> None:
    from matplotlib.lines import Line2D

    quality, loss = METRIC[verdict.task].replace("rmse", "RMSE"), LOSS[verdict.task].partition("_")[2]
    states = {_state(judged) for judged in measured(verdict)}
    handles = [Line2D([], [], color=colour, marker=marker, linestyle="", label=name)
               for name, (colour, marker) in LEGEND.items() if name in states]  # fmt: skip
    interval = f"{loss}, {verdict.confidence:.0%}"
    handles += [
        Line2D([], [], color=MUTED, linestyle="--", linewidth=0.7, label=f"float's {quality}"),
        Line2D([], [], color=MUTED, linestyle=":", linewidth=0.9, label="Pareto front"),
        Line2D([], [], color=MUTED, marker="|", markersize=10, linestyle="", label=interval),
    ]
    if selection.require:
        handles.append(Line2D([], [], color=BOUND, linestyle="-.", linewidth=1.0, label="requirement"))
    columns = 3 if figure.get_figwidth() < 2 * PANEL[0] else len(handles)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def _unit(metric: str) -> float:
    return 1e3 if metric.startswith("latency_ms") else 1e-3


def _axis_name(metric: str) -> str:
    if metric == "size_bytes":
        return "size of the ONNX file [kB]"
    return f"median latency, batch {metric.partition('_batch')[2]} [us]"


def _state(judged: Judged) -> str:
    return "wins" if judged.wins else "qualifies" if judged.qualifies else "fails a requirement"
