"""Recipes and their data checked together: for `thresher check`, and before `thresher plan` and `kedro run`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from thresher.catalog.data import DataCheck, check_data
from thresher.catalog.entries import Catalog
from thresher.catalog.models import find_model_problems, find_model_to_fetch
from thresher.conf_files import BrokenConfError, ConfigurationError
from thresher.config_loader import RecipeConfigLoader
from thresher.errors import Problem, RecipeError, ThresherError
from thresher.evaluation.provable import least_samples
from thresher.packaging.build_context import check_name, read_bentofile
from thresher.recipe.reading import FOLDER, find_recipe, find_recipe_files, locate_all
from thresher.recipe.source import read_places
from thresher.tracking.settings import resolve


@dataclass(frozen=True)
class CheckedRecipe:
    """What `thresher check` says of one recipe.

    Attributes:
        error: with every problem of the recipe and its data, None where it is sound.
        num_candidates: with the float model.
        to_fetch: known data sets that are not here yet.
        model_to_fetch: the known model that is not here yet.
        least_samples: how many test samples its bound on the drop in accuracy takes at least; 0 where it has none.
        knows_data: whether there is a catalog against which its data could be checked.
    """

    name: str
    error: RecipeError | None
    num_candidates: int = 0
    to_fetch: Sequence[str] = ()
    model_to_fetch: str | None = None
    least_samples: int = 0
    knows_data: bool = True


def check_project(loader: RecipeConfigLoader, names: Sequence[str]) -> Iterator[CheckedRecipe | ThresherError]:
    """Yield what is wrong in conf/ first, then each recipe: those of ``names``, or all.

    Raises:
        ThresherError: there is no such recipe, or none at all.
    """
    project = loader.project
    problems, catalog = _conf_problems(loader), None
    paths = [find_recipe(name, project) for name in names] or list(find_recipe_files(project).values())
    if not paths and not problems:
        raise ConfigurationError(f"{project / FOLDER} holds no recipe (*.yml). Fix: write one (docs/own_data.md).")
    try:
        catalog = Catalog(loader)
    except ThresherError as error:
        problems.append(error)
    yield from problems
    for path in paths:
        yield _check_one(loader, path, catalog)


def require_sound_data(loader: RecipeConfigLoader, name: str) -> None:
    """Raise a RecipeError for a sound recipe whose data is not: with all that is wrong, and files that are missing."""
    path = find_recipe_files(loader.project).get(name)
    examined = loader.examine(path) if path is not None else None
    if examined is None or examined.recipe is None or examined.source is None:
        return  # building the pipelines reports it
    found = check_data(examined.source, examined.values, Catalog(loader))
    of_model = locate_all(examined.source, find_model_problems(examined.values, loader.project))
    if problems := [*of_model, *found.problems, *found.missing]:
        raise RecipeError(name, problems)


def _conf_problems(loader: RecipeConfigLoader) -> list[ThresherError]:
    """Return what is wrong in conf/ besides the catalog; what cannot be read is left out from then on."""
    problems: list[ThresherError] = []
    try:
        loader.changes, loader.run_options  # noqa: B018
    except ThresherError as error:
        problems.append(error)
        loader.changes = {}
    for read in (lambda: resolve(loader["mlflow"], loader.project), lambda: read_bentofile(loader.project)):
        try:
            read()
        except ThresherError as error:
            problems.append(error)
    conf, pipelines = Path(loader.conf_source), loader.project / FOLDER
    if secret := loader.files("credentials").problems:
        problems.append(BrokenConfError(secret))
    for name in ("logging.yml", "logging.yaml"):  # Kedro itself reads it, before anything here is asked
        if (conf / name).is_file() and (broken := read_places(conf / name, f"{conf.name}/{name}").problems):
            problems.append(BrokenConfError(broken))
    for path in sorted(pipelines.glob("*.yaml")):
        what = f"{FOLDER}/{path.name}: is not read: a recipe's file ends in .yml"
        problems.append(ConfigurationError(f"{what}. Fix: rename it {path.stem}.yml."))
    return problems


def _check_one(loader: RecipeConfigLoader, path: Path, catalog: Catalog | None) -> CheckedRecipe:
    examined = loader.examine(path)
    found = DataCheck()
    if catalog is not None and examined.source is not None:
        found = check_data(examined.source, examined.values, catalog)
    of_model: list[Problem] = []
    model = find_model_to_fetch(examined.values, loader.project)
    if examined.source is not None and model is None:
        of_model = locate_all(examined.source, find_model_problems(examined.values, loader.project))
    problems = [*examined.problems, *of_model, *found.problems, *check_name(path.stem)]
    if problems or examined.recipe is None:
        return CheckedRecipe(path.stem, RecipeError(path.stem, problems))
    count = len(examined.recipe.candidates)
    least = least_samples(examined.recipe.selection, count)
    return CheckedRecipe(path.stem, None, count + 1, found.to_fetch, model, least, catalog is not None)
