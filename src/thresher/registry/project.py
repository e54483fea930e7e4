"""The project that a recipe belongs to: which MLflow it uses, and that nobody runs the recipe meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kedro.framework.session import KedroSession

from thresher.caching.lock import AlreadyRunningError, RecipeLock, store_lock
from thresher.config_loader import RecipeConfigLoader
from thresher.errors import RecipeError
from thresher.project.folder import enter_project
from thresher.recipe import Recipe
from thresher.registry.versions import RegistryError
from thresher.tracking.server import require_server
from thresher.tracking.store import is_whole, mend_store


@dataclass(frozen=True)
class RecipeProject:
    """A project as one environment of it describes it."""

    folder: Path
    recipes: Mapping[str, Recipe]
    broken: Mapping[str, RecipeError]

    @property
    def names(self) -> set[str]:
        """Of all recipes that have a file."""
        return {*self.recipes, *self.broken}

    @contextmanager
    def holding(self, recipe: str) -> Iterator[None]:
        """Let nobody run ``recipe`` until the block ends.

        Raises:
            RegistryError: it is being run.
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
    """Give the project in ``folder``; what is asked of MLflow in the block goes to the one of ``environment``."""
    enter_project(folder)
    with KedroSession.create(folder, env=environment) as session:
        assert isinstance(session, KedroSession)
        loader = session.load_context().config_loader
        require_server()
        if not is_whole():
            with store_lock(folder):
                mend_store()
        assert isinstance(loader, RecipeConfigLoader)
        yield RecipeProject(folder, loader.recipes, loader.broken)
