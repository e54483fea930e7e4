"""Ties the run's configuration to the pipelines that are built from it."""

from __future__ import annotations

from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline

from thresher.config_loader import use_loader


class RecipeHooks:
    """Hands the run's own config loader to the pipeline registry, before any pipeline is built."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        loader: Any = context.config_loader
        use_loader(loader)


def recipe_of(pipeline: Pipeline) -> str:
    """Return whose nodes ``pipeline`` holds, by the names of what they make; a run is of one recipe."""
    (recipe,) = {output.partition(".")[0] for output in pipeline.all_outputs()}
    return recipe
