"""What the test split cannot show, said with the plan: before anything is trained."""

from __future__ import annotations

from kedro.io import DatasetError

from thresher.adapters.kedro import Catalog
from thresher.caching.plan import Action, Plan
from thresher.errors import ThresherError
from thresher.evaluation.provable import find_unprovable
from thresher.recipe import Recipe


def find_notes(recipe: Recipe, plan: Plan, catalog: Catalog) -> tuple[str, ...]:
    """Return the bounds of ``recipe`` that its test split cannot show, a sentence each.

    The samples are counted in what an earlier run recorded, or in the data themselves; where these cannot be read, the
    run says so.
    """
    if recipe.task == "classification" and not _has_confidence(recipe):
        return ()
    try:
        num_test = _count(recipe, plan, catalog)
    except (DatasetError, ThresherError, OSError):
        return ()
    if not num_test:  # which the run refuses
        return ()
    return tuple(find_unprovable(recipe.selection, recipe.task, num_test, len(recipe.candidates)))


def _has_confidence(recipe: Recipe) -> bool:
    slices = recipe.selection.slices
    bounds = [*recipe.selection.require.values(), *(slices.bounds.values() if slices else ())]
    return any(bound.confidence for bound in bounds)


def _count(recipe: Recipe, plan: Plan, catalog: Catalog) -> int:
    counted = f"{plan.recipe}.fingerprint"
    if any(counted in planned.node.outputs for planned in plan.of(Action.REUSE)):
        return int(catalog.load(counted).num_test_samples)
    return len(catalog.load(recipe.data.test))
