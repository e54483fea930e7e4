"""Thresher from Python, for notebooks and scripts: projects, runs and champions (docs/python_api.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import DatasetError

from thresher.catalog.check import CheckedRecipe, check_project
from thresher.config_loader import make_loader
from thresher.errors import DataError, RecipeError, ThresherError, find_mendable, nearest
from thresher.kinds.registry import use_project
from thresher.project.folder import enter_project, find_project
from thresher.recipe.reading import find_recipe_files
from thresher.tracking.run_context import current
from thresher.trouble import explain

if TYPE_CHECKING:
    from thresher.evaluation.verdict import Verdict
    from thresher.registry.champion_model import ChampionModel
    from thresher.session import IncrementalSession


def open_project(folder: str | Path = ".", env: str | None = None) -> Project:
    """Return the project that ``folder`` is in.

    Args:
        env: a folder of conf/ whose catalog and parameters come before those of base.

    Raises:
        ProjectError: it is in none.
    """
    return Project(find_project(Path(folder)), env)


@dataclass(frozen=True)
class Project:
    """A folder with recipes, a catalog and what runs have made.

    While a method works, the process's working directory is ``folder``.
    """

    folder: Path
    env: str | None = None

    @property
    def recipes(self) -> list[str]:
        """The names of all recipes, sound or not."""
        return sorted(find_recipe_files(self.folder))

    def check(self, recipe: str) -> None:
        """Check a recipe and the data that it names; run nothing.

        Raises:
            RecipeError: with every problem; ``problems`` has each with its place and what to do.
            ThresherError: something in conf/ is wrong, or there is no such recipe.
        """
        with self._entered():
            for checked in check_project(make_loader(self.folder, self.env), [recipe]):
                error = checked.error if isinstance(checked, CheckedRecipe) else checked
                if error is not None:
                    raise error

    def run(self, recipe: str, params: Mapping[str, Any] | None = None, *, fresh: bool = False) -> Results:
        """Run a recipe as `thresher run` does, and return what it came to.

        Args:
            params: what to change for this run, by place: ``{"training.epochs": 3}``.
            fresh: run every node, whatever earlier runs left.

        Raises:
            ThresherError: what the user can mend: a wrong recipe, missing data, a broken contract, or that no candidate
                qualifies (NoCandidateQualifiesError, after which `results` has the verdict).
        """
        options: dict[str, Any] = {"run": {"fresh": True}} if fresh else {}
        with self._session(_nest(recipe, params or {}) | options) as session:
            try:
                session.run(pipeline_names=[recipe])
            except BaseException as error:
                if current().run_id:
                    from thresher.tracking.run import end_run  # only now, since it imports MLflow

                    end_run("FAILED" if isinstance(error, Exception) else "KILLED")
                mendable = explain(error)
                if mendable is None or mendable is error:
                    raise
                raise mendable from error
        return self.results(recipe)

    def results(self, recipe: str) -> Results:
        """Return what the last run of a recipe left in data/; read when it is asked for.

        Raises:
            DataError: there is no such recipe.
        """
        if recipe not in self.recipes:
            raise DataError(f"There is no recipe '{recipe}' in pipelines/. {nearest(recipe, self.recipes)}")
        return Results(self, recipe)

    def champion(self, recipe: str) -> ChampionModel:
        """Return the champion of a recipe from MLflow's registry, with its encoder.

        Raises:
            RegistryError: there is none.
        """
        # Kedro's session prints where its logging is configured as soon as it is imported, unless a project is known.
        from thresher.registry.champion_model import load_champion

        with self._entered():
            return load_champion(self.folder, recipe, self.env)

    def load(self, name: str) -> Any:
        """Return a dataset of the catalog: raw data (`digits.train`), or what a run made (`digits.encoder`).

        Raises:
            DataError: it was not made yet, or cannot be read.
        """
        with self._session({}) as session:
            catalog = session.load_context().catalog
            if name not in catalog:
                known = [entry for entry in catalog if not entry.startswith(("params:", "parameters"))]
                raise DataError(f"There is no '{name}' in the catalog. {nearest(name, known)}")
            try:
                return catalog.load(name)
            except DatasetError as error:
                raise find_mendable(error) or error from error

    @contextmanager
    def _entered(self) -> Iterator[None]:
        with chdir(self.folder):
            use_project(self.folder)
            yield

    @contextmanager
    def _session(self, params: dict[str, Any]) -> Iterator[IncrementalSession]:
        with self._entered():
            enter_project(self.folder)
            from thresher.session import IncrementalSession  # as in `champion`

            with IncrementalSession.create(self.folder, env=self.env, runtime_params=params) as session:
                assert isinstance(session, IncrementalSession)
                yield session


@dataclass(frozen=True)
class Results:
    """What the last run of a recipe came to; read from the project's data/ when it is asked for, and then kept."""

    project: Project
    recipe: str

    @cached_property
    def verdict(self) -> Verdict:
        """Who won and why, with every candidate's reason and its metrics with their intervals."""
        verdict: Verdict = self.project.load(f"{self.recipe}.verdict")
        return verdict

    @property
    def figures(self) -> dict[str, dict[str, float]]:
        """Candidate -> metric -> value, as `pandas.DataFrame.from_dict(figures, orient="index")` takes them."""
        return {
            judged.candidate: {name: interval.value for name, interval in judged.metrics.items()}
            for judged in self.verdict.candidates
        }

    def model(self, candidate: str | None = None) -> bytes:
        """Return a candidate's ONNX file, the winner's by default, as `onnxruntime.InferenceSession` takes it.

        Raises:
            DataError: there is no such candidate, none has won, or this one failed.
        """
        name, known = candidate or self.verdict.winner, list(self.figures)
        if name is None:
            raise DataError(f"Recipe {self.recipe}: no candidate has won. {nearest('', known)}")
        if name not in known:
            raise DataError(f"Recipe {self.recipe}: there is no candidate '{name}'. {nearest(name, known)}")
        from thresher.pipelines.stage import find_served_file  # imports Kedro, as in `Project.champion`

        found = self.project.load(find_served_file(self.project.load, self.recipe, name))
        if not isinstance(found, bytes):
            raise DataError(f"Recipe {self.recipe}: candidate {name} failed: {found.reason}")
        return found

    @property
    def report(self) -> str:
        """The report of the run, one HTML page."""
        return str(self.project.load(f"{self.recipe}.report"))


def _nest(recipe: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return Kedro's parameters of values by their places in a recipe.

    Raises:
        RecipeError: two places of which one lies in the other.
    """
    nested: dict[str, Any] = {}
    for place, value in params.items():
        *parents, last = (recipe, *place.split("."))
        inner = nested
        for part in parents:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise ThresherError(f"params: '{place}' lies in another one that has a value. Fix: leave out one.")
        inner[last] = value
    return nested


__all__ = ["Project", "RecipeError", "Results", "ThresherError", "open_project"]
