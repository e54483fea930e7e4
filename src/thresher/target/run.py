"""What the last run of a recipe has left."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol, DatasetError

from thresher.caching.dependencies import taken_parameters
from thresher.caching.invalidation import changed_parameter
from thresher.caching.records import Records
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

    def files(self) -> dict[str, bytes]:
        """Return candidate -> the file that was judged and is served, but for those that failed anywhere in the run."""
        evaluated = self.each("evaluation")  # the last step: it has failed where any before it has
        return {key: content for key, content in self.each("onnx").items() if key in evaluated}

    def made(self) -> list[str]:
        """Return the datasets that another machine is given."""
        return [f"{self.name}.test_samples", *(f"{self.name}.{name}" for name in self._names("onnx").values())]

    def each(self, kind: str) -> dict[str, Any]:
        """Return candidate -> result of that kind, but for those that failed."""
        found = {key: self.load(name) for key, name in self._names(kind).items()}
        return {key: result for key, result in found.items() if not isinstance(result, CandidateFailure)}

    def _names(self, kind: str) -> dict[str, str]:
        recipe, keys = self.recipe, (FLOAT, *self.recipe.candidates)
        if kind == "onnx":  # the file that is judged and served
            return {key: served_file("", key, recipe.calibrate, recipe.decision).removeprefix(".") for key in keys}
        return {key: f"{key}.{kind}" for key in keys}


def open_run(context: Any, name: str) -> LastRun:
    """Return what the recipe ``name`` has left in the project of Kedro's ``context``.

    Raises:
        TargetError, RecipeError: there is no such recipe, it is broken, or it says something else by now than what the
            candidates were made by: what is written of them would be false.
    """
    loader = context.config_loader
    assert isinstance(loader, RecipeConfigLoader)
    if name in loader.broken:
        raise loader.broken[name]
    if name not in loader.recipes:
        raise TargetError(f"There is no recipe '{name}'. {nearest(name, loader.recipes)}")
    run = LastRun(name, loader.recipes[name], context.catalog)
    if changed := _changed_since(run, Path(context.project_path), loader["parameters"]):
        what = f"{changed} since it was run, and the candidates are those of that run"
        raise TargetError(f"Recipe {name}: {what}. Fix: thresher run {name}, or set it back.")
    return run


def _changed_since(run: LastRun, project: Path, parameters: Mapping[str, Any]) -> str:
    """Return the first parameter of what made the candidates and their samples that is another by now, or nothing."""
    records = Records(project, run.name)
    for node in pipelines[run.name].to_outputs(*run.made()).nodes:
        record = records.read(node.name)
        if record and (
            changed := changed_parameter(record.dependencies.parameters, taken_parameters(node, parameters))
        ):
            return changed
    return ""
