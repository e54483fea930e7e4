"""Kedro's parameters are the recipes: pipelines/*.yml, then conf/<env>/parameters.yml, then --params."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from kedro.config import MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from thresher.adapters.kedro import LenientConfigLoader
from thresher.conf_files import ConfFiles, ConfigurationError
from thresher.config import describe_problems
from thresher.errors import Problem, RecipeError, nearest
from thresher.kinds.registry import use_project
from thresher.recipe import RESERVED_NAMES, Recipe, dump
from thresher.recipe.merging import NoSuchItemError, merge, name_items
from thresher.recipe.reading import RecipeSource, check_recipe, find_recipe_files, read_source
from thresher.recipe.source import Place
from thresher.run_options import RunOptions

# Kedro 1.7 still calls OmegaConf's old name; a user of recipes can do nothing about it.
warnings.filterwarnings("ignore", message=r"register_new_resolver\(\) is deprecated", category=UserWarning)

EVERY_RECIPE, RUN = RESERVED_NAMES
"""Keys in conf/<env>/parameters.yml: what is merged into each recipe, and the run's own options."""

logger = logging.getLogger(__name__)


def make_loader(project: Path, env: str | None = None) -> RecipeConfigLoader:
    """Return a loader for commands that have no session of their own.

    Raises:
        ConfigurationError: a project without conf/, or an environment that is not there.
    """
    conf = project / "conf"
    if not conf.is_dir():
        raise ConfigurationError(f"{conf}: no such folder. thresher new FOLDER makes a project that is whole.")
    return RecipeConfigLoader(str(conf), env, **LOADER_ARGUMENTS)


_active: RecipeConfigLoader | None = None


def use_loader(loader: RecipeConfigLoader) -> None:
    """Let pipelines be built from what ``loader`` gives: a run's own environment and parameters."""
    global _active
    _active = loader


def active_loader() -> RecipeConfigLoader | None:
    """Return the loader of the run that goes on, None outside of one."""
    return _active


NEEDED = {
    "catalog": "write in conf/base/catalog.yml what data there is (docs/own_data.md).",
    "mlflow": "write in conf/base/mlflow.yml where MLflow keeps its runs; an empty file will do.",
}
"""Kinds of files without which nothing runs, and what to do about it."""


DEFAULT_RECIPE = "digits"
LOADER_ARGUMENTS: dict[str, Any] = {
    "base_env": "base",
    "default_run_env": "local",
    "config_patterns": {"mlflow": ["mlflow*"]},
}
"""What Kedro's settings give the loader."""


@dataclass(frozen=True)
class Examined:
    """A recipe as far as it could be understood.

    Attributes:
        source: the file, None where it is no YAML mapping.
        values: of the file, with what environment and parameters change.
        recipe: None where there are problems.
    """

    source: RecipeSource | None
    values: dict[str, Any]
    recipe: Recipe | None
    problems: list[Problem]


class RecipeConfigLoader(LenientConfigLoader):
    """Gives every sound recipe, all defaults written out, as the parameters under its name.

    A broken recipe is kept aside in ``broken`` and never stops another from running.
    """

    def __init__(self, conf_source: str, env: str | None = None, *args: Any, **options: Any) -> None:
        """Read nothing yet; raises a ConfigurationError for an environment that is not there."""
        self._files: dict[str, ConfFiles] = {}
        super().__init__(conf_source, env, *args, **options)
        use_project(self.project)
        self.runtime_params = name_items(self.runtime_params or {})
        folders = {path.name for path in Path(conf_source).iterdir() if path.is_dir()}
        if env is None and self.default_run_env not in folders:
            self.default_run_env = self.base_env  # nobody's own settings are there, and none are needed
        if env is not None and env not in folders:
            raise ConfigurationError(f"--env {env}: there is no such folder in {conf_source}. {nearest(env, folders)}")

    def __getitem__(self, key: str) -> dict[str, Any]:
        if key != "parameters" or key in self.data:
            return self._read(key)
        return {name: _as_parameters(name, recipe) for name, recipe in self.recipes.items()}

    def files(self, key: str) -> ConfFiles:
        """Return the files of one kind, such as `catalog`, as they are written."""
        if key not in self._files:
            folders = (self.base_env, self.env or self.default_run_env)
            self._files[key] = ConfFiles(Path(self.conf_source), folders, self.config_patterns[key])
        return self._files[key]

    def _read(self, key: str) -> dict[str, Any]:
        """Return what Kedro reads, or say in words why it cannot."""
        if key in self.data or key not in self.config_patterns:
            return dict(super().__getitem__(key))
        self.files(key).require()
        try:
            read = dict(super().__getitem__(key))
            return self._with_own_catalog(read) if key == "catalog" else read
        except MissingConfigException as error:
            if key not in NEEDED:
                raise
            raise ConfigurationError(f"{error} Fix: {NEEDED[key]}") from error
        except OmegaConfBaseException as error:
            where = self.files(key).where(tuple(str(error.full_key).split("."))) if error.full_key else "conf/"
            raise ConfigurationError(f"{where}: {error.msg or error}. Fix: correct what stands in ${{...}}.") from error
        except (ValueError, TypeError, AttributeError) as error:
            raise ConfigurationError(f"{self.files(key).names or 'conf/'}: {error}") from error

    def _with_own_catalog(self, read: dict[str, Any]) -> dict[str, Any]:
        """Return the entries that were ``read`` over those of what runs make, and warn of old copies of the latter."""
        own = _own_catalog()
        for name in own.keys() & read.keys():
            entry = OmegaConf.to_container(read[name]) if OmegaConf.is_config(read[name]) else read[name]
            given, ours = (str(one.get("type", "")) if isinstance(one, dict) else "" for one in (entry, own[name]))
            if given != ours and given.startswith("thresher."):
                where = self.files("catalog").where((name,))
                what = "%s: '%s' replaces an entry that Thresher has itself, and its type %s is not the one that this "
                fix = "version uses, %s. Fix: delete the entry, unless it is meant so."
                logger.warning(what + fix, where, name, given, ours)
        return {**own, **read}

    def check_entry(self, catalog: Any, name: Any) -> str:
        """Return why Kedro could not take an entry, so that it harms no recipe but those that name it."""
        return _why_no_entry(catalog, name)

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
        given = self._overlays().get(RUN, {})
        try:
            return RunOptions.model_validate(given)
        except ValidationError as error:
            raise ConfigurationError(f"{self._where((RUN,))}: {describe_problems(error, RunOptions)}") from None

    @property
    def default_recipe(self) -> str | None:
        """The recipe of a run that names none: `digits`, or else the first that is sound."""
        return DEFAULT_RECIPE if DEFAULT_RECIPE in {*self.recipes, *self.broken} else next(iter(self.recipes), None)

    @cached_property
    def _checked(self) -> tuple[dict[str, Recipe], dict[str, RecipeError]]:
        sound: dict[str, Recipe] = {}
        broken: dict[str, RecipeError] = {}
        for name, path in find_recipe_files(self.project).items():
            examined = self.examine(path)
            if examined.recipe is None:
                broken[name] = RecipeError(name, examined.problems)
            else:
                sound[name] = examined.recipe
        return sound, broken

    @property
    def project(self) -> Path:
        """The folder of the project."""
        return Path(self.conf_source).absolute().parent

    @cached_property
    def changes(self) -> dict[str, Any]:
        """What environment and parameters change of recipes: recipe -> overlay, and that of `every_recipe`.

        Raises:
            ThresherError: a file that cannot be read, or an overlay of a recipe that is not there.
        """
        overlays = self._overlays()
        overlays.pop(RUN, None)
        self._require_mapping(EVERY_RECIPE, overlays)
        self._refuse_unknown(overlays)
        return overlays

    def examine(self, path: Path) -> Examined:
        """Return the recipe at ``path`` under what environment and parameters change of it, sound or not."""
        changes = self.changes
        try:
            source, name = read_source(path), path.stem
            self._require_mapping(name, changes)
        except RecipeError as error:
            return Examined(None, {}, None, error.problems)
        values = source.values
        for key in (EVERY_RECIPE, name):
            try:
                values = merge(values, changes.get(key, {}))
            except NoSuchItemError as error:
                problem = Problem(self._where((key, *error.place)), error.what, error.fix)
                return Examined(source, values, None, [problem])

        def where(place: Place) -> str | None:
            keys = [key for key in (name, EVERY_RECIPE) if _holds(changes.get(key, {}), place)]
            return self._where((keys[0], *place)) if keys and place else None

        try:
            return Examined(source, values, check_recipe(source, values, where), [])
        except RecipeError as error:
            return Examined(source, values, None, error.problems)

    def _overlays(self) -> dict[str, Any]:
        try:
            return self._read("parameters")
        except MissingConfigException:
            return dict(self.runtime_params or {})

    def _where(self, place: Place) -> str:
        """Return where an overlay says what it says at ``place``."""
        if _holds(self.runtime_params or {}, place) or not self.files("parameters").holds(place[:1]):
            return f"--params {'.'.join(map(str, place))}"
        return self.files("parameters").where(place)

    def _require_mapping(self, key: str, overlays: dict[str, Any]) -> None:
        if not isinstance(overlays.get(key, {}), dict):
            what = f"{overlays[key]!r} given, where a mapping of what to change is expected"
            raise RecipeError(key, [Problem(self._where((key,)), what, f"Such as {key}: {{training: {{epochs: 5}}}}.")])

    def _refuse_unknown(self, overlays: dict[str, Any]) -> None:
        """Raise for an overlay of a recipe that is not there: it would be passed over without a word."""
        names = {EVERY_RECIPE, *find_recipe_files(self.project)}
        unknown = [name for name in overlays if name not in names]
        if unknown:
            fix = "Write RECIPE.section.key=value. " + nearest(str(unknown[0]), names - {EVERY_RECIPE})
            problems = [Problem(self._where((name,)), f"there is no recipe '{name}'", fix) for name in unknown]
            raise RecipeError(str(unknown[0]), problems)


@cache
def _own_catalog() -> dict[str, Any]:
    """Return the entries of what runs make, which no project has to name; an entry of a project's own replaces one."""
    return dict(yaml.safe_load((files("thresher") / "pipelines" / "catalog.yml").read_text(encoding="utf-8")))


def _holds(values: Any, place: Place) -> bool:
    """Return whether ``values`` say something at ``place``; items of lists are also named by mappings of numbers."""
    for part in place:
        if isinstance(values, dict) and (part in values or str(part) in values):
            values = values[part] if part in values else values[str(part)]
        elif isinstance(values, list) and isinstance(part, int) and part < len(values):
            values = values[part]
        elif part != "steps":  # which a chain that is written as a list leaves out
            return False
    return True


def _why_no_entry(catalog: Any, name: Any) -> str:
    """Return what is wrong with an entry of the catalog as a whole, or nothing."""
    try:
        value = catalog[name]
        entry = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    except OmegaConfBaseException as error:
        return f"cannot be resolved: {str(error.msg or error).splitlines()[0]}"
    if not isinstance(name, str):
        return f"its name is read as {type(name).__name__}; put it into quotes"
    if name.startswith("_"):  # Kedro's way to write what others are made of
        return ""
    if not isinstance(entry, dict):
        kind = {list: "a list", str: "a text", type(None): "empty"}.get(type(entry), f"a {type(entry).__name__}")
        return f"is {kind}, where a mapping with a 'type' is expected"
    return "" if isinstance(entry.get("type"), str) else "has no 'type'"


def _as_parameters(name: str, recipe: Recipe) -> dict[str, Any]:
    """Return ``recipe`` as plain data in which it and its candidates know their names."""
    values = dump(recipe)
    candidates = {key: {**candidate, "name": key} for key, candidate in values["candidates"].items()}
    # Apart from what the champion is registered with: another challenger is no other champion.
    shadow = values["serving"].pop("shadow")
    values["evaluation"]["metrics"] = list(recipe.measured_metrics)
    for section, key in (("data", "tests"), ("data", "corruptions"), ("selection", "require_on")):
        if not values[section][key]:  # what a recipe does not use is no reason to run anything again
            del values[section][key]
    sets = {
        key: {"name": key, "entry": entry, "metrics": list(recipe.selection.metrics_on(key))}
        for key, entry in recipe.data.tests.items()
    }
    values |= {"test_sets": sets} if sets else {}
    return {**values, "name": name, "candidates": candidates, "shadow": shadow}
