"""Every recipe is a Kedro pipeline of the same name."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from thresher.config_loader import active_loader, make_loader
from thresher.errors import RecipeError, ThresherError, nearest
from thresher.project.folder import find_project

DEFAULT = "__default__"


class UnknownRecipeError(ThresherError, KeyError):
    """A recipe that is not there; a KeyError too, as Kedro expects of a mapping."""

    __str__ = ThresherError.__str__


class RecipePipelines(dict[str, Pipeline]):
    """Pipelines by name.

    A broken recipe is not among them, so that Kedro's commands over all pipelines work on; it says what is wrong with
    it when it is asked for by name.
    """

    def __init__(self, pipelines: dict[str, Pipeline], broken: dict[str, RecipeError]) -> None:
        super().__init__(pipelines)
        self._broken = broken

    def __missing__(self, name: str) -> Pipeline:
        if name in self._broken:
            raise self._broken[name]
        recipes = {*self, *self._broken} - {DEFAULT}
        raise UnknownRecipeError(f"There is no recipe '{name}' in pipelines/. {nearest(name, recipes)}")


def register_pipelines() -> RecipePipelines:
    """Return every recipe's pipeline, and as `__default__` that of the recipe `digits`, or else of the first."""
    from thresher.pipelines.build import build_pipeline

    loader = active_loader()
    if loader is None:  # not `or`: a loader is a mapping, and false while it is empty
        loader = make_loader(find_project())
    pipelines = {name: build_pipeline(name, recipe) for name, recipe in loader.recipes.items()}
    broken = dict(loader.broken)
    default = loader.default_recipe
    if default in pipelines:
        pipelines[DEFAULT] = pipelines[default]
    elif default is not None:
        broken[DEFAULT] = broken[default]
    return RecipePipelines(pipelines, broken)
