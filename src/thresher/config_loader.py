"""Kedro's parameters are the recipes: pipelines/*.yml, then conf/<env>/parameters.yml, then --params."""

from __future__ import annotations

import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException, OmegaConfigLoader
from kedro.utils import find_kedro_project
from pydantic import ValidationError

from thresher.config import say_problems
from thresher.errors import Problem, RecipeError, ThresherError, nearest
from thresher.recipe import RESERVED_NAMES, Recipe, dump
from thresher.recipe.merging import merge
from thresher.recipe.reading import check_recipe, find_recipe_files, read_source
from thresher.run_options import RunOptions

# Kedro 1.7 still calls OmegaConf's old name; a user of recipes can do nothing about it.
warnings.filterwarnings("ignore", message=r"register_new_resolver\(\) is deprecated", category=UserWarning)

EVERY_RECIPE, RUN = RESERVED_NAMES
"""Keys in conf/<env>/parameters.yml: what is merged into each recipe, and the run's own options."""


class ConfigurationError(ThresherError):
    """A project or an environment that is not there, or an option of a run that is none."""


def find_project() -> Path:
    """Return the folder of the project that the working directory is in.

    Raises:
        ConfigurationError: it is in none.
    """
    project = find_kedro_project(Path.cwd())
    if project is None:
        what = f"{Path.cwd()} is not inside a Thresher project"
        raise ConfigurationError(f"{what}. Go to the folder with pyproject.toml.")
    return Path(project)


_active: RecipeConfigLoader | None = None


def use_loader(loader: RecipeConfigLoader) -> None:
    """Let pipelines be built from what ``loader`` gives: a run's own environment and parameters."""
    global _active
    _active = loader


def active_loader() -> RecipeConfigLoader | None:
    """Return the loader of the run that goes on, None outside of one."""
    return _active


class RecipeConfigLoader(OmegaConfigLoader):
    """Gives every sound recipe, all defaults written out, as the parameters under its name.

    A broken recipe is kept aside in ``broken`` and never stops another from running.
    """

    def __init__(self, conf_source: str, env: str | None = None, *args: Any, **options: Any) -> None:
        """Read nothing yet; raises a ConfigurationError for an environment that is not there."""
        super().__init__(conf_source, env, *args, **options)
        folders = {path.name for path in Path(conf_source).iterdir() if path.is_dir()}
        if env is not None and env not in folders:
            raise ConfigurationError(f"--env {env}: {conf_source} has no such folder. {nearest(env, folders)}")

    def __getitem__(self, key: str) -> dict[str, Any]:
        if key != "parameters" or key in self.data:
            return super().__getitem__(key)
        return {name: _as_parameters(name, recipe) for name, recipe in self.recipes.items()}

    @property
    def recipes(self) -> dict[str, Recipe]:
        """Every recipe that can be run, by name."""
        return self._checked[0]

    @property
    def broken(self) -> dict[str, RecipeError]:
        """What is wrong with each of the others."""
        return self._checked[1]

    @cached_property
    def run_options(self) -> RunOptions:
        """What concerns a run and not its outcome.

        Raises:
            ConfigurationError: an unknown key or a value that is not allowed.
        """
        try:
            return RunOptions.model_validate(self._overlays().get(RUN, {}))
        except ValidationError as error:
            what = say_problems(error, RunOptions)
            raise ConfigurationError(f"'{RUN}' in {self._overlay_place}: {what}") from None

    @cached_property
    def _checked(self) -> tuple[dict[str, Recipe], dict[str, RecipeError]]:
        overlays = self._overlays()
        for_all = overlays.pop(EVERY_RECIPE, {})
        overlays.pop(RUN, None)
        sound: dict[str, Recipe] = {}
        broken: dict[str, RecipeError] = {}
        files = find_recipe_files(Path(self.conf_source).parent)
        self._refuse_unknown(overlays, set(files))
        for name, path in files.items():
            try:
                source = read_source(path)
                sound[name] = check_recipe(source, merge(merge(source.values, for_all), overlays.get(name, {})))
            except RecipeError as error:
                broken[name] = error
        return sound, broken

    def _overlays(self) -> dict[str, Any]:
        try:
            return dict(super().__getitem__("parameters"))
        except MissingConfigException:
            return dict(self.runtime_params or {})

    @property
    def _overlay_place(self) -> str:
        return f"--params or conf/{self.env or self.default_run_env}/parameters.yml"

    def _refuse_unknown(self, overlays: dict[str, Any], names: set[str]) -> None:
        """Raise for an overlay of a recipe that is not there: it would be passed over without a word."""
        unknown = [name for name in overlays if name not in names]
        if unknown:
            fix = "Write RECIPE.section.key=value. " + nearest(unknown[0], names)
            place = self._overlay_place
            raise RecipeError(unknown[0], [Problem(place, f"there is no recipe '{name}'", fix) for name in unknown])


def _as_parameters(name: str, recipe: Recipe) -> dict[str, Any]:
    """Return ``recipe`` as plain data in which it and its candidates know their names."""
    values = dump(recipe)
    candidates = {key: {**candidate, "name": key} for key, candidate in values["candidates"].items()}
    # Apart from what the champion is registered with: another challenger is no other champion.
    shadow = values["serving"].pop("shadow")
    return {**values, "name": name, "candidates": candidates, "shadow": shadow}
