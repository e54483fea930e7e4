"""From what a sampler chooses to a chain of techniques."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter

from thresher.compression import Technique
from thresher.compression.budget import CandidateSearch
from thresher.kinds.record import TechniqueKind
from thresher.kinds.registry import registry
from thresher.search.result import Sensitivity

if TYPE_CHECKING:
    from optuna import Trial

MAX_SHARE = 0.9
MAX_SHIFT = 0.2
"""How far a layer's own ratio may lie from what its sensitivity asks for."""
MIN_RATIO = 0.02
"""Less than this is not worth a step."""
MIN_ENERGY, MAX_ENERGY = 0.5, 0.99
"""The shares of the singular values that layers of low rank keep; above the second they stay whole."""
SHARE, ALLOCATION, IMPORTANCE, ENERGY, LAST_STEP = "share", "allocation", "importance", "energy", "last_step"
BLOCKS = "blocks"
"""How many blocks are left."""
MIN_COUNT = "min_count"
"""How often a token must occur to keep its row; 0 where the table stays whole."""
NOTHING = "none"
BY_SENSITIVITY, BY_SAVING, UNIFORM = "sensitivity", "saving", "uniform"
ALLOCATIONS = (BY_SENSITIVITY, BY_SAVING, UNIFORM)
FIRST_SHARES = {BY_SENSITIVITY: (0.25, 0.5, 0.75), UNIFORM: (0.25, 0.5, 0.75), BY_SAVING: (0.15, 0.3, 0.5)}
"""The shares of all channels that a search begins with. By saving, most of them come from few groups."""
FEWER = (0.25, 0.5, 0.75)
"""The shares of the blocks that can go that a search begins without."""
Depths = range
"""From the fewest blocks that can be left to all there are; empty where none is to go."""
NONE_GOES = range(0)
MinCounts = Sequence[int]
"""Those of `prune_vocabulary` that remove rows, the least first; empty where none is to go."""
MIN_WEIGHT = 0.01
"""The least weight of a group, as a share of the largest: one that saves nothing by itself may still go where it costs
nothing."""
Savings = Mapping[str, float]
"""Group -> what pruning it saves of the objective, in any unit that is the same for all."""
Steps = tuple[Technique, ...]


def last_steps(config: CandidateSearch) -> list[str]:
    """Return what a chain may end with: of what does not change the network's structure, it has one at most."""
    kinds = (registry().find(TechniqueKind, name) for name in config.techniques)
    return [NOTHING, *(kind.name for kind in kinds if not kind.changes_structure)]


def suggest(
    trial: Trial,
    config: CandidateSearch,
    groups: tuple[str, ...],
    depths: Depths = NONE_GOES,
    min_counts: MinCounts = (),
) -> dict[str, Any]:
    """Return the settings that ``trial`` is to try."""
    settings: dict[str, Any] = {}
    if groups:
        settings[SHARE] = trial.suggest_float(SHARE, 0.0, MAX_SHARE)
        settings[ALLOCATION] = trial.suggest_categorical(ALLOCATION, ALLOCATIONS)
        settings[IMPORTANCE] = trial.suggest_categorical(IMPORTANCE, list(config.importance))
        settings |= {group: trial.suggest_float(f"shift {group}", -MAX_SHIFT, MAX_SHIFT) for group in groups}
    if depths:
        settings[BLOCKS] = trial.suggest_int(BLOCKS, depths[0], depths[-1])
    if min_counts:
        settings[MIN_COUNT] = trial.suggest_categorical(MIN_COUNT, [0, *min_counts])
    if config.factorizes:
        settings[ENERGY] = trial.suggest_float(ENERGY, MIN_ENERGY, 1.0)
    settings[LAST_STEP] = trial.suggest_categorical(LAST_STEP, last_steps(config))
    return settings


def first_trials(
    config: CandidateSearch, groups: tuple[str, ...], depths: Depths = NONE_GOES, min_counts: MinCounts = ()
) -> list[dict[str, Any]]:
    """Return what a search begins with: a few shares of each allocation, with each last step in turn.

    All blocks are there at first, and in the last trials a few of those that can go are not, with no channel gone.
    So it is with rows of the table of tokens. Layers are whole at first, and of low rank in the last two.
    """
    last, found = last_steps(config), list[dict[str, Any]]()
    shares = [(0.0, BY_SENSITIVITY)]
    if groups:
        shares += [(share, way) for way in (BY_SENSITIVITY, UNIFORM, BY_SAVING) for share in FIRST_SHARES[way]]
    for number, (share, allocation) in enumerate(shares):
        for ends in dict.fromkeys((last[-1], last[0]) if number <= 3 else (last[number % len(last)],)):
            settings = {SHARE: share, ALLOCATION: allocation, IMPORTANCE: config.importance[0], LAST_STEP: ends}
            settings |= {f"shift {group}": 0.0 for group in groups}
            found.append(settings if groups else {LAST_STEP: ends})
    if depths:
        whole = [{**settings, BLOCKS: depths[-1]} for settings in found]
        fewer = dict.fromkeys(depths[-1 - round(share * (len(depths) - 1))] for share in FEWER)
        found = whole + [{**whole[0], BLOCKS: count} for count in fewer if count < depths[-1]]
    if min_counts:
        whole = [{**settings, MIN_COUNT: 0} for settings in found]
        some = dict.fromkeys((min_counts[0], min_counts[len(min_counts) // 2], min_counts[-1]))
        found = whole + [{**whole[0], MIN_COUNT: min_count} for min_count in some]
    if not config.factorizes:
        return found
    whole = [{**settings, ENERGY: 1.0} for settings in found]
    return whole + [{**whole[0], ENERGY: energy} for energy in (0.9, 0.7)]


def build_steps(
    settings: dict[str, Any],
    config: CandidateSearch,
    sensitivity: Sensitivity | None,
    savings: Savings,
    depths: Depths = NONE_GOES,
    min_counts: MinCounts = (),
) -> list[Steps]:
    """Return (steps on the structure, what ends the chain): finetuning comes between the two."""
    structure: list[dict[str, Any]] = []
    if min_counts and settings[MIN_COUNT] >= min_counts[0]:
        structure.append({"kind": "prune_vocabulary", "min_count": settings[MIN_COUNT]})
    if sensitivity is not None:
        ratios = allocate(settings, sensitivity, savings)
        if max(ratios.values()) >= MIN_RATIO:
            structure.append(
                {
                    "kind": "prune_channels",
                    "ratio": round(min(0.95, max(MIN_RATIO, float(np.mean(list(ratios.values()))))), 3),
                    "ratios": {group: ratio if ratio >= MIN_RATIO else 0.0 for group, ratio in ratios.items()},
                    "importance": settings[IMPORTANCE],
                    "round_to": config.round_to,
                }
            )
    if depths and settings[BLOCKS] < depths[-1]:
        # After the channels, whose groups are named as in the whole network.
        structure.append({"kind": "drop_layers", "keep": settings[BLOCKS]})
    if settings.get(ENERGY, 1.0) <= MAX_ENERGY:
        structure.append({"kind": "factorize", "energy": round(settings[ENERGY], 3)})
    last = [] if settings[LAST_STEP] == NOTHING else [{"kind": settings[LAST_STEP]}]
    return [_STEPS.validate_python(tuple(part)) for part in (structure, last)]


def halfway(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any] | None:
    """Return settings half-way between two, with the choices of ``one``; None where nothing lies between.

    That is where the chains end differently, or their ratios hardly differ.
    """
    if one.get(LAST_STEP) != other.get(LAST_STEP):
        return None
    numbers = {name: value for name, value in one.items() if isinstance(value, float) and name in other}
    between = {name: (value + other[name]) / 2 for name, value in numbers.items()}
    counts = {name: (one[name] + other[name] + 1) // 2 for name in (BLOCKS, MIN_COUNT) if name in one}
    hardly = all(abs(value - other[name]) < MIN_RATIO for name, value in numbers.items())
    if hardly and all(count in (one[name], other[name]) for name, count in counts.items()):
        return None
    return {**one, **between, **counts}


def allocate(settings: dict[str, Any], sensitivity: Sensitivity, savings: Savings) -> dict[str, float]:
    """Return each group's ratio: their mean is the share that was chosen, before each one's own shift.

    By sensitivity every group alone would lose as much as any other; by saving it may lose in proportion to what it
    saves, so that little goes where that makes nothing smaller or faster.
    """
    groups, share = tuple(sensitivity.curves), settings[SHARE]
    if settings[ALLOCATION] == UNIFORM or share == 0:
        ratios = dict.fromkeys(groups, share)
    else:
        weights = savings if settings[ALLOCATION] == BY_SAVING else dict.fromkeys(groups, 1.0)
        ratios = _equally_sensitive(share, sensitivity, weights)
    shifted = {group: ratio + settings[group] if share else 0.0 for group, ratio in ratios.items()}
    most = {group: 1 - 1 / channels for group, channels in sensitivity.num_channels.items()}  # one channel stays
    return {group: round(float(np.clip(ratio, 0.0, most[group])), 3) for group, ratio in shifted.items()}


def _equally_sensitive(share: float, sensitivity: Sensitivity, weights: Savings) -> dict[str, float]:
    """Return ratios with the mean ``share`` at which every group alone would lose in proportion to its weight."""
    most = max(weights.values())
    parts = {group: max(weight / most, MIN_WEIGHT) if most > 0 else 1.0 for group, weight in weights.items()}
    low, high = 1e-6, 100.0 / MIN_WEIGHT
    for _ in range(60):  # halves the interval in orders of magnitude until nothing of it is left
        middle = float(np.sqrt(low * high))
        ratios = {group: sensitivity.ratio_at(group, middle * parts[group]) for group in sensitivity.curves}
        if np.mean(list(ratios.values())) < share:
            low = middle
        else:
            high = middle
    # What costs nothing goes at once, and may be more than was asked for.
    mean = float(np.mean(list(ratios.values())))
    return {group: ratio * min(1.0, share / mean) for group, ratio in ratios.items()}


_STEPS: TypeAdapter[Steps] = TypeAdapter(Steps)
