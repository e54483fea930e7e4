"""Which chains are worth finetuning, and which of those finetuned wins."""

from __future__ import annotations

from collections.abc import Callable

from thresher.compression.budget import CandidateSearch
from thresher.search.result import Assessed, affords, keeps, pareto_front
from thresher.search.space import halfway

Finetune = Callable[[Assessed], Assessed]


def finetune_promising(
    trials: list[Assessed], config: CandidateSearch, objective: str, finetune: Finetune, is_over: Callable[[], bool]
) -> list[Assessed]:
    """Return the finalists, finetuned, in the order in which they were tried; at least one, where there is any.

    Where the budget bounds the quality, the front of the trials is bisected: finetuning mends more of a loss the fewer
    channels are gone, so that the cheapest chain that keeps the bound lies between one that does and one that does
    not; it may be one that was not tried. Where it bounds costs alone, the best of those that keep them are tried.
    """
    affordable = [trial for trial in trials if not trial.reason and affords(trial, config.budget)]
    if config.budget.loss is None:
        return _each(_best_distinct(affordable, config.finalists), finetune, is_over)
    return _bisect(pareto_front(affordable, objective), config, finetune, is_over)


def choose(finalists: list[Assessed], config: CandidateSearch, objective: str) -> int | None:
    """Return the place of the best finalist, the nearest to the budget where none keeps it; None where all failed."""
    places = [place for place, finalist in enumerate(finalists) if not finalist.reason]
    keeping = [place for place in places if keeps(finalists[place], config.budget)]
    if config.budget.loss is None:
        return min(keeping or places, key=lambda place: finalists[place].loss or 0.0, default=None)
    if keeping:
        return min(keeping, key=lambda place: finalists[place].costs[objective])
    return min(places, key=lambda place: finalists[place].loss_upper or 0.0, default=None)


def _each(chosen: list[Assessed], finetune: Finetune, is_over: Callable[[], bool]) -> list[Assessed]:
    found: list[Assessed] = []
    for trial in chosen:
        if found and is_over():
            break
        found.append(finetune(trial))
    return found


def _bisect(
    front: list[Assessed], config: CandidateSearch, finetune: Finetune, is_over: Callable[[], bool]
) -> list[Assessed]:
    """Finetune the middle of ``front``, the dearest first, and go on with the half that the result points to.

    Where two neighbours are left, of which one keeps the budget, it goes on with chains between these two.
    """
    found: list[Assessed] = []
    low, high = 0, len(front)

    def goes_on() -> bool:
        return len(found) < config.finalists and not (found and is_over())

    while low < high and goes_on():
        middle = (low + high) // 2
        found.append(finetune(front[middle]))
        if keeps(found[-1], config.budget):
            low = middle + 1
        else:
            high = middle
    if low < high or low == 0 or high == len(front):
        return found
    kept, failed = front[low - 1], front[high]
    while goes_on() and (settings := halfway(kept.settings, failed.settings)):
        found.append(finetune(kept.model_copy(update={"settings": settings})))
        if keeps(found[-1], config.budget):
            kept = found[-1]
        else:
            failed = found[-1]
    return found


def _best_distinct(trials: list[Assessed], count: int) -> list[Assessed]:
    """Return the least losses, one a chain; of chains that all fail alike the one with the most left in it."""
    distinct: dict[str, Assessed] = {}
    for trial in sorted(trials, key=lambda each: (round(each.loss or 0.0, 3), -each.costs["macs"])):
        distinct.setdefault(repr(trial.steps), trial)
    return list(distinct.values())[:count]
