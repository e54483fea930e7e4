"""What each layer's channels cost: what of the objective goes when one of them alone is pruned."""

from __future__ import annotations

import math

from thresher.compression.network.prune_channels import PruneChannels
from thresher.events import Step, emit
from thresher.search.assess import Assessor, Reference
from thresher.search.result import Sensitivity

AT = 0.5
"""Share of a group's channels that are removed, or the nearest share that its number of channels allows."""


def measure_savings(
    assessor: Assessor, reference: Reference, sensitivity: Sensitivity, objective: str
) -> dict[str, float]:
    """Return for each group what pruning it alone saves of ``objective``, for the share of its channels; 0 at least.

    It is measured on the file that comes of it, as trials are: sums say little of time where memory or a kernel that
    handles channels in blocks decides. Source: Yang et al., "NetAdapt", ECCV 2018, section 3.2.
    """
    savings = {}
    whole = _cost(assessor, reference, objective)
    for number, (group, curve) in enumerate(sensitivity.curves.items(), 1):
        emit(Step(f"saving of {group}, layer {number} of {len(sensitivity.curves)}"))
        ratios = [point.ratio for point in curve if point.ratio]
        ratio = min(ratios, key=lambda each: abs(each - AT), default=0.0)
        savings[group] = 0.0
        if ratio:
            others = dict.fromkeys(sensitivity.curves, 0.0)
            pruned = _cost(assessor, reference, objective, PruneChannels(ratios={**others, group: ratio}, round_to=1))
            savings[group] = (whole - pruned) / ratio if pruned < whole < math.inf else 0.0
    return savings


def _cost(assessor: Assessor, reference: Reference, objective: str, *steps: PruneChannels) -> float:
    """Return what the file costs that ``steps`` make, and infinity where none can be made: the trials will say why."""
    return assessor.assess(-1, {}, steps, reference, finetuned=False).costs.get(objective, math.inf)
