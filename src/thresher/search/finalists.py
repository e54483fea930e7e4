"""Which chains are worth finetuning, and which of those finetuned wins."""

from __future__ import annotations

from thresher.compression.budget import Budget
from thresher.search.result import Assessed, affords, keeps, pareto_front
from thresher.search.space import halfway


def next_finalist(trials: list[Assessed], finalists: list[Assessed], budget: Budget, objective: str) -> Assessed | None:
    """Return the chain to finetune next, given what came of those before; None where no other is worth it.

    Where the budget bounds the quality, the front of the trials is bisected: finetuning mends more of a loss the fewer
    channels are gone, so that the cheapest chain that keeps the bound lies between one that does and one that does
    not; it may be one that was not tried. Where it bounds costs alone, the best of those that keep them are tried.
    """
    affordable = [trial for trial in trials if not trial.reason and affords(trial, budget)]
    if budget.loss is None:
        return next(iter(_best_distinct(affordable)[len(finalists) :]), None)
    return _bisect(pareto_front(affordable, objective), finalists, budget)


def choose(finalists: list[Assessed], budget: Budget, objective: str) -> int | None:
    """Return the place of the best finalist, the nearest to the budget where none keeps it; None where all failed."""
    places = [place for place, finalist in enumerate(finalists) if not finalist.reason]
    keeping = [place for place in places if keeps(finalists[place], budget)]
    if budget.loss is None:
        return min(keeping or places, key=lambda place: finalists[place].loss or 0.0, default=None)
    if keeping:
        return min(keeping, key=lambda place: finalists[place].costs[objective])
    return min(places, key=lambda place: finalists[place].loss_upper or 0.0, default=None)


def _bisect(front: list[Assessed], finalists: list[Assessed], budget: Budget) -> Assessed | None:
    """Return the middle of what is left of ``front``, the dearest first: each finalist has pointed to one half.

    Where two neighbours are left, of which one keeps the budget, it goes on with chains between these two.
    """
    tried, low, high = iter(finalists), 0, len(front)
    while low < high:
        middle = (low + high) // 2
        if (finalist := next(tried, None)) is None:
            return front[middle]
        low, high = (middle + 1, high) if keeps(finalist, budget) else (low, middle)
    if low == 0 or high == len(front):
        return None
    kept, failed = front[low - 1], front[high]
    for finalist in tried:
        kept, failed = (finalist, failed) if keeps(finalist, budget) else (kept, finalist)
    settings = halfway(kept.settings, failed.settings)
    return kept.model_copy(update={"settings": settings}) if settings else None


def _best_distinct(trials: list[Assessed]) -> list[Assessed]:
    """Return the least losses, one a chain; of chains that all fail alike the one with the most left in it."""
    distinct: dict[str, Assessed] = {}
    for trial in sorted(trials, key=lambda each: (round(each.loss or 0.0, 3), -each.costs["macs"])):
        distinct.setdefault(repr(trial.steps), trial)
    return list(distinct.values())
