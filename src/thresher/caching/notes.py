"""What the test split can show and what it cannot, said with the plan: before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from kedro.io import DatasetError

from thresher.adapters.kedro import Catalog
from thresher.caching.plan import Action, Plan
from thresher.errors import ThresherError
from thresher.evaluation.detectable import find_detectable
from thresher.evaluation.provable import find_unprovable
from thresher.recipe import Recipe


@dataclass(frozen=True)
class _TestSplit:
    """How many samples it has, and of each class by its name; None where only the first is needed."""

    num: int
    class_counts: dict[str, int] | None = None


def add_notes(recipe: Recipe, plan: Plan, catalog: Catalog) -> Plan:
    """Return ``plan`` with what the recipe's test split shows of each bound, and which it cannot show.

    The samples are counted in what an earlier run recorded, or in the data themselves; where these cannot be read, the
    run says so.
    """
    if recipe.task == "classification" and not _has_confidence(recipe):
        return plan
    try:
        test = _count(recipe, plan, catalog)
    except (DatasetError, ThresherError, OSError):
        return plan
    if not test.num:  # which the run refuses
        return plan
    about = recipe.selection, recipe.task, test.num, len(recipe.candidates)
    shows = find_detectable(*about, test.class_counts, recipe.data.corruptions) if recipe.candidates else []
    return replace(plan, notes=tuple(find_unprovable(*about)), shows=tuple(shows))


def _has_confidence(recipe: Recipe) -> bool:
    slices = recipe.selection.slices
    bounds = [*recipe.selection.require.values(), *(slices.bounds.values() if slices else ())]
    for on in recipe.selection.require_on.values():
        bounds += on.values()
    return any(bound.confidence for bound in bounds)


def _count(recipe: Recipe, plan: Plan, catalog: Catalog) -> _TestSplit:
    by_class = recipe.task == "classification" and bool(recipe.measured_metrics)
    counted = [f"{plan.recipe}.{name}" for name in ("fingerprint", *(["class_counts"] if by_class else []))]
    made = {output for planned in plan.of(Action.REUSE) for output in planned.node.outputs}
    if made.issuperset(counted):
        fingerprint, *counts = (catalog.load(name) for name in counted)
        by_name = dict(zip(fingerprint.class_names, counts[0].tolist(), strict=True)) if counts else None
        return _TestSplit(int(fingerprint.num_test_samples), by_name)
    test = catalog.load(recipe.data.test)
    if not by_class:
        return _TestSplit(len(test))
    of_class = np.bincount(test.labels[test.labels >= 0], minlength=len(test.class_names)).tolist()
    return _TestSplit(len(test), dict(zip(test.class_names, of_class, strict=True)))
