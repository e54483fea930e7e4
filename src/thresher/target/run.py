"""What the last run of a recipe has left."""

from __future__ import annotations

from typing import Any

from kedro.io import CatalogProtocol, DatasetError

from thresher.candidate_failure import CandidateFailure
from thresher.config_loader import RecipeConfigLoader
from thresher.errors import find_mendable, nearest
from thresher.models import FLOAT
from thresher.pipelines.stage import served_file
from thresher.recipe import Recipe
from thresher.target.folder import TargetError


class LastRun:
    """What the last run of a recipe has left."""

    def __init__(self, name: str, recipe: Recipe, catalog: CatalogProtocol[Any, Any]) -> None:
        self.name, self.recipe, self._catalog = name, recipe, catalog

    def load(self, what: str) -> Any:
        """Return a dataset of the recipe; raises a TargetError where it was not made yet."""
        try:
            return self._catalog.load(what if what.startswith("params:") else f"{self.name}.{what}")
        except DatasetError as error:
            told = find_mendable(error) or f"{self.name}.{what} is not there"
            raise TargetError(f"{told} Fix: thresher run {self.name}.") from error

    def load_raw(self, entry: str) -> Any:
        """Return the raw samples of a catalog entry."""
        return self._catalog.load(entry)

    def each(self, kind: str) -> dict[str, Any]:
        """Return candidate -> result of that kind, but for those that failed."""
        recipe, keys = self.recipe, (FLOAT, *self.recipe.candidates)
        names = {key: f"{key}.{kind}" for key in keys}
        if kind == "onnx":  # the file that is judged and served
            names = {key: served_file("", key, recipe.calibrate, recipe.decision).removeprefix(".") for key in keys}
        found = {key: self.load(name) for key, name in names.items()}
        return {key: result for key, result in found.items() if not isinstance(result, CandidateFailure)}


def open_run(context: Any, name: str) -> LastRun:
    """Return what the recipe ``name`` has left in the project of Kedro's ``context``.

    Raises:
        TargetError, RecipeError: there is no such recipe, or it is broken.
    """
    loader = context.config_loader
    assert isinstance(loader, RecipeConfigLoader)
    if name in loader.broken:
        raise loader.broken[name]
    if name not in loader.recipes:
        raise TargetError(f"There is no recipe '{name}'. {nearest(name, loader.recipes)}")
    return LastRun(name, loader.recipes[name], context.catalog)
