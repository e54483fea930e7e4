"""Finds and serves the Bento of a recipe's registered champion, which need not be the Bento that was built last."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from thresher.datasets.reports import bento_store
from thresher.errors import nearest
from thresher.project.folder import ProjectError, find_project
from thresher.registry.versions import Registered, RegistryError, read_registered
from thresher.tracking.store_file import registry_is_empty

if TYPE_CHECKING:
    from bentoml import Bento

CUDA_LABEL = "cuda"
"""The label of a Bento that was built for an image with CUDA."""


def find_champion_bento(recipe: str, environment: str | None) -> str:
    """Return the tag of the Bento of the champion of ``recipe``; a tag, NAME:VERSION, is returned as it is.

    Where nothing is registered, as on a machine that has only the Bento, the newest of the recipe is taken, with a
    notice on standard error.

    Raises:
        RegistryError: there is no such Bento; the error says how to build it.
    """
    found = _list_bentos()
    if ":" in recipe:
        if recipe not in {str(bento.tag) for bento in found}:
            raise RegistryError(f"There is no Bento {recipe}. {nearest(recipe, (str(one.tag) for one in found))}")
        return recipe
    registered = _read_champion(recipe, environment)
    theirs = [bento for bento in found if bento.tag.name == recipe.lower()]
    if registered is None:
        return _newest(recipe, theirs, found)
    version = registered.versions[registered.champion]
    wanted = (registered.champion, version.run_id or "")
    labels = [(bento, bento.info.labels) for bento in theirs]
    its = [bento for bento, label in labels if (label.get("model_version"), label.get("mlflow_run_id")) == wanted]
    if its:
        return str(max(its, key=lambda bento: bento.creation_time).tag)
    what = f"Version {registered.champion} is champion of {recipe}, and its Bento is not in the store {bento_store()}"
    raise RegistryError(f"{what}. Build it: thresher promote {recipe} {registered.champion} --reason TEXT")


def newest_recipe() -> str:
    """Return the recipe that a Bento was built of last.

    Raises:
        RegistryError: there is no Bento.
    """
    found = _list_bentos()
    if not found:
        raise _no_bento("RECIPE")
    return str(max(found, key=lambda bento: bento.creation_time).info.labels["recipe"])


def serve(recipe: str, environment: str | None, options: tuple[str, ...]) -> NoReturn:
    """Replace this process by `bentoml serve` of the champion's Bento."""
    tag = find_champion_bento(recipe, environment)
    click.echo(f"Serving {tag}", err=True)
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", "serve", tag, *options])


def _read_champion(recipe: str, environment: str | None) -> Registered | None:
    """Return what is registered of ``recipe``, None where there is no project, no registry or no champion in it."""
    try:
        folder = find_project()
    except ProjectError:
        return None
    from thresher.registry.project import open_recipes  # Kedro reads, as it is imported, how the project logs

    with open_recipes(folder, environment) as project:
        if registry_is_empty():
            return None
        try:
            registered = read_registered(recipe, project.names)
        except RegistryError:
            return None
    return registered if registered.champion in registered.versions else None


def _newest(recipe: str, theirs: list[Bento], found: list[Bento]) -> str:
    if theirs:
        tag = str(max(theirs, key=lambda bento: bento.creation_time).tag)
        click.echo(f"No champion of {recipe} is registered here; {tag} is its newest Bento.", err=True)
        return tag
    if not found:
        raise _no_bento(recipe)
    known = sorted({str(bento.info.labels["recipe"]) for bento in found})
    raise RegistryError(f"No Bento of recipe '{recipe}'. {nearest(recipe, known)} Or run it: thresher run {recipe}")


def _no_bento(recipe: str) -> RegistryError:
    """Return the error of a BentoML store without any Bento of ours; it says what to do in this folder."""
    try:
        find_project()
    except ProjectError:
        how = f"{Path.cwd()} is not inside a Thresher project. Make a project, and run a recipe in it"
        return RegistryError(f"There is no Bento yet, and {how}: thresher new FOLDER, thresher run RECIPE")
    return RegistryError(f"There is no Bento yet. Make one: thresher run {recipe}")


def _list_bentos() -> list[Bento]:
    """Return Thresher's Bentos, but for those that were built for a GPU's image."""
    import bentoml

    labelled = [bento for bento in bentoml.list() if "recipe" in bento.info.labels]
    return [bento for bento in labelled if CUDA_LABEL not in bento.info.labels]
