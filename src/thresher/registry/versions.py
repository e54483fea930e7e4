"""What MLflow's registry holds of one recipe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from thresher.datasets.registered import asking_registry
from thresher.errors import ThresherError, nearest
from thresher.tracking.history import CHALLENGER, CHAMPION, Move, find_former, read_moves
from thresher.tracking.store_file import registry_is_empty


class RegistryError(ThresherError):
    """A version that is not there, or cannot become champion."""


@dataclass(frozen=True)
class Registered:
    """The versions of one recipe.

    Attributes:
        versions: MLflow's versions by their numbers, the oldest first.
        aliases: alias -> number of the version that has it.
        moves: of the aliases, the oldest first.
    """

    recipe: str
    versions: dict[str, Any] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)

    @property
    def champion(self) -> str:
        """The number of the champion; empty where there is none."""
        return self.aliases.get(CHAMPION, "")

    def find(self, name: str | None) -> str:
        """Return the number of the version with the number or alias ``name``, by default of the challenger.

        Raises:
            RegistryError: there is none; it names the nearest.
        """
        number = self.aliases.get(name or CHALLENGER, name)
        if number in self.versions:
            return str(number)
        if name is None:
            what = f"Recipe {self.recipe}: no version has the alias '{CHALLENGER}'. Name the one to be champion."
            raise RegistryError(f"{what} {nearest('', self.versions)}")
        known = {*self.versions, *self.aliases}
        raise RegistryError(f"Recipe {self.recipe}: there is no version '{name}'. {nearest(name, known)}")

    def find_former(self) -> str:
        """Return the number of the version that was champion before today's.

        Raises:
            RegistryError: there was none, or it is gone.
        """
        fix = f"Fix: thresher promote {self.recipe} VERSION --reason TEXT. {nearest('', self.versions)}"
        former = find_former(self.moves, self.champion)
        if not former:
            only = f"version {self.champion} is the first champion" if self.champion else "there was no champion"
            raise RegistryError(f"Recipe {self.recipe}: nothing to roll back to: {only} that the history knows. {fix}")
        if former not in self.versions:
            what = f"version {former}, champion before version {self.champion}, was deleted from the registry"
            raise RegistryError(f"Recipe {self.recipe}: {what}. {fix}")
        return former


def read_registered(recipe: str, recipes: Iterable[str]) -> Registered:
    """Return what the registry holds of ``recipe``.

    Args:
        recipes: those that have a file.

    Raises:
        RegistryError: it holds nothing; where there is no such recipe, it names the nearest.
        TrackingError: the registry cannot be asked.
    """
    known = set(recipes)
    if not registry_is_empty():
        with asking_registry():
            found = _read(recipe)
        if found.versions:
            return found
    if recipe not in known:
        raise RegistryError(f"There is no recipe '{recipe}', in pipelines/ or registered. {nearest(recipe, known)}")
    run = f"Run it first: thresher run {recipe}"
    raise RegistryError(f"Recipe {recipe}: the registry holds no version of it. {run}")


def _read(recipe: str) -> Registered:
    from thresher.tracking import models  # MLflow, which an empty registry does not need

    registered = models.find_registered(recipe)
    if registered is None:
        return Registered(recipe)
    versions = {str(version.version): version for version in models.list_versions(recipe)}
    aliases = {alias: str(number) for alias, number in registered.aliases.items()}
    return Registered(recipe, versions, aliases, read_moves(registered.tags))
