"""A project, as one environment of it says where things are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from thresher.caching.context import open_context
from thresher.caching.lock import AlreadyRunningError, RecipeLock
from thresher.caching.records import STATE_FOLDER
from thresher.errors import nearest
from thresher.recipe.reading import find_recipe_files
from thresher.retention.artifacts import CleaningError, Item
from thresher.retention.bentos import find_bentos
from thresher.retention.data_folder import DataFolder
from thresher.retention.mlflow_lineage import read_tracked, tracked_recipes
from thresher.retention.outputs import find_outputs
from thresher.retention.runs import find_runs

BEING_RUN = "the recipe is being run"


@dataclass(frozen=True)
class Project:
    """All recipes that something is left of."""

    folder: Path
    data: DataFolder

    def choose_recipes(self, names: Sequence[str]) -> list[str]:
        """Return ``names``, or every recipe where there are none.

        Raises:
            CleaningError: there is no such recipe; names the nearest.
        """
        known = {*find_recipe_files(self.folder), *self.data.recipes(), *tracked_recipes()}
        for name in names:
            if name not in known:
                what = f"Recipe {name}: it has no file in pipelines/ and left nothing behind."
                raise CleaningError(f"{what} {nearest(name, known)}")
        return sorted(set(names) or known)

    def find_items(self, recipes: Iterable[str], running: Iterable[str]) -> list[Item]:
        """Return all that is left of ``recipes``; nothing may be freed of those that are ``running``.

        Raises:
            CleaningError: something cannot be looked at.
        """
        items: list[Item] = []
        for recipe in recipes:
            tracked = read_tracked(recipe)
            outputs = find_outputs(self.data, tracked)
            found = [*outputs, *find_runs(tracked, outputs), *find_bentos(tracked)]
            items += [replace(item, kept=BEING_RUN) for item in found] if recipe in running else found
        return items

    def find_running(self, recipes: Iterable[str]) -> set[str]:
        """Return those of ``recipes`` that are being run, without holding up any."""
        return {recipe for recipe in recipes if _is_locked(self.folder / STATE_FOLDER / "locks" / f"{recipe}.lock")}

    @contextmanager
    def holding(self, recipes: Iterable[str]) -> Iterator[set[str]]:
        """Let nobody run ``recipes`` until the block ends; gives those that are being run already."""
        running: set[str] = set()
        with ExitStack() as stack:
            for recipe in recipes:
                lock = RecipeLock(self.folder, recipe)
                try:
                    lock.acquire("fail")
                except AlreadyRunningError:
                    running.add(recipe)
                else:
                    stack.callback(lock.release)
            yield running


@contextmanager
def open_project(folder: Path, environment: str | None) -> Iterator[Project]:
    """Give the project in ``folder`` as ``environment`` describes it."""
    with open_context(folder, environment) as context:
        yield Project(folder, DataFolder(folder, context.catalog, context.config_loader["catalog"]))


def _is_locked(path: Path) -> bool:
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False
