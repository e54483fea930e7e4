"""The trials of a search as a picture: what each chain costs and what it loses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thresher.search.result import Assessed, BudgetSearch, pareto_front

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

JUDGED, FINETUNED, BEST, BOUND = "#9a9a9a", "#2f5f9e", "#1b7f3b", "#b03a2e"
AXIS = {
    "size_bytes": ("size of the ONNX file [kB]", 1e-3),
    "latency_us": ("median latency [us]", 1.0),
    "macs": ("multiply-accumulates a sample, thousands", 1e-3),
}
LOSS = {"accuracy": "drop in accuracy", "rmse": "increase of the RMSE"}


def plot_budget_search(search: BudgetSearch) -> Figure:
    """Return loss over cost of every trial and finalist, with both Pareto fronts and the budget."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.2), layout="constrained")
    axis = figure.subplots()
    name, factor = AXIS[search.objective]
    _plot_points(axis, list(search.trials), search.objective, factor, JUDGED, "o", "as pruned, not finetuned")
    _plot_points(axis, list(search.finalists), search.objective, factor, FINETUNED, "D", "finetuned")
    winner, base = search.winner, search.baseline
    axis.plot(
        winner.costs[search.objective] * factor, winner.loss or 0.0, "*", color=BEST, markersize=17, label="the best"
    )
    axis.plot(base.costs[search.objective] * factor, base.loss or 0.0, "s", color="black", markersize=7, label="float")
    _plot_bounds(axis, search, factor)
    axis.set_xscale("log")
    axis.set_xlabel(name)
    axis.set_ylabel(f"{LOSS[search.metric]} on the validation split")
    axis.set_title(f"Search for {search.candidate}: {len(search.trials)} chains, {len(search.finalists)} finetuned")
    axis.grid(alpha=0.2)
    axis.legend(frameon=False, fontsize=9)
    return figure


def _plot_points(
    axis: Axes, chains: list[Assessed], objective: str, factor: float, color: str, marker: str, label: str
) -> None:
    shown = [chain for chain in chains if not chain.reason]
    if not shown:
        return
    costs, losses = ([chain.costs[objective] * factor for chain in shown], [chain.loss or 0.0 for chain in shown])
    axis.plot(costs, losses, marker, color=color, markersize=6, alpha=0.8, label=label)
    front = pareto_front(shown, objective)
    steps = [(chain.costs[objective] * factor, chain.loss) for chain in front[::-1]]
    axis.step(*zip(*steps, strict=True), where="post", color=color, linewidth=0.9, linestyle=":")


def _plot_bounds(axis: Axes, search: BudgetSearch, factor: float) -> None:
    budget = search.budget
    if search.objective in budget.costs:
        axis.axvline(budget.costs[search.objective] * factor, color=BOUND, linestyle="--", label="budget")
    if budget.loss is not None:
        axis.axhline(budget.loss, color=BOUND, linestyle="--", label="budget, of the interval's upper bound")
