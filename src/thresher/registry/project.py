"""A project with its recipes and its MLflow, and a lock on a recipe while its champion changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from thresher.caching.context import open_context
from thresher.caching.lock import AlreadyRunningError, RecipeLock
from thresher.config_loader import RecipeConfigLoader
from thresher.errors import RecipeError
from thresher.recipe import Recipe
from thresher.registry.versions import RegistryError


@dataclass(frozen=True)
class RecipeProject:
    """A project, as one of its environments configures it."""

    folder: Path
    """The folder of its pyproject.toml."""
    recipes: Mapping[str, Recipe]
    """The sound recipes, by name."""
    broken: Mapping[str, RecipeError]
    """The errors of the others, by name."""
    loader: RecipeConfigLoader
    """Reads its conf/."""

    @property
    def names(self) -> set[str]:
        """The names of all recipes that have a file, sound or broken."""
        return {*self.recipes, *self.broken}

    @contextmanager
    def locked(self, recipe: str) -> Iterator[None]:
        """Keep the lock of ``recipe``, which a run needs, until the block ends.

        Raises:
            RegistryError: the recipe is being run.
        """
        lock = RecipeLock(self.folder, recipe)
        try:
            lock.acquire("fail")
        except AlreadyRunningError as error:
            what = f"Recipe {recipe} is being run, and the run may crown a champion of its own."
            raise RegistryError(f"{what} Wait for its end, or interrupt it.") from error
        try:
            yield
        finally:
            lock.release()


@contextmanager
def open_recipes(folder: Path, environment: str | None) -> Iterator[RecipeProject]:
    """Yield the project in ``folder``; within the block, MLflow is that of ``environment``."""
    with open_context(folder, environment) as context:
        loader = context.config_loader
        assert isinstance(loader, RecipeConfigLoader)
        yield RecipeProject(folder, loader.recipes, loader.broken, loader)
