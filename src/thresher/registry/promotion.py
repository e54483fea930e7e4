"""Makes another version the champion: builds its Bento and moves the registry's alias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from thresher.datasets.registered import asking_registry, load_bundle, name_version
from thresher.packaging.bento import pack
from thresher.registry.project import RecipeProject
from thresher.registry.versions import Registered, RegistryError
from thresher.serving.core.bundle import Bundle
from thresher.serving.monitoring.challenger import Challenger, choose_challenger
from thresher.tracking.history import How, move_alias


@dataclass(frozen=True)
class Moved:
    """The outcome of a promotion or a rollback."""

    version: str
    """The number of the new champion."""
    former: str
    """The number of the champion before; the same as ``version`` where it was champion already."""
    bento: str
    """The tag of the Bento; empty where none was to be built."""
    notices: tuple[str, ...]
    """Sentences for the user."""


def move_champion(
    project: RecipeProject, registered: Registered, version: str, move: How, reason: str, with_bento: bool
) -> Moved:
    """Make ``version`` the champion. Where its Bento cannot be built, the alias stays where it is.

    A version that is champion already gets its Bento anew, and nothing is recorded.

    Raises:
        TrackingError: the registry cannot be asked or changed.
        RegistryError: the version's files are gone.
        DataError: the version cannot be read by this Thresher.
        PackagingError, BundleError: its Bento cannot be built.
    """
    bento, notices = "", _notices(registered, version)
    if with_bento:
        champion = load_version(registered.versions[version])
        challenger, said = _find_challenger(project, registered, champion)
        bento, notices = pack(champion, project.folder, challenger), [*notices, *said]
    if version != registered.champion:
        with asking_registry():
            move_alias(registered.recipe, version, move, reason)
    return Moved(version, registered.champion, bento, tuple(notices))


def _notices(registered: Registered, version: str) -> list[str]:
    former = registered.versions.get(registered.champion)
    if former is None or version == registered.champion:
        return []
    if name_version(former).split(" of ")[1] != name_version(registered.versions[version]).split(" of ")[1]:
        return []
    return [f"Version {former.version} has the very same model file; they differ in what was registered with it."]


def _find_challenger(
    project: RecipeProject, registered: Registered, champion: Bundle
) -> tuple[Challenger | None, list[str]]:
    recipe = project.recipes.get(registered.recipe)
    if recipe is None:
        return None, ["The recipe's file is missing or broken, so the Bento has no challenger."]
    options = recipe.serving.shadow
    if options is None:
        return None, []
    name = str(options.version)
    number = registered.aliases.get(name, name)
    found = load_version(registered.versions[number]) if number in registered.versions else None
    challenger, notice = choose_challenger(champion, found, options)
    return challenger, [notice]


def load_version(version: Any) -> Bundle:
    """Return the bundle of MLflow's ``version``.

    Raises:
        RegistryError: its files are gone.
        DataError: it cannot be read by this Thresher.
        TrackingError: the registry cannot be asked.
    """
    with asking_registry():
        try:
            return load_bundle(version)
        except OSError as error:
            what = f"The files of version {version.version} of {version.name} cannot be read: {error}."
            raise RegistryError(f"{what} Fix: bring them back, or choose another version.") from error
