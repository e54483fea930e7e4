"""`thresher export RECIPE FOLDER`: the champion as files that need nothing of Thresher."""

from __future__ import annotations

from pathlib import Path

import click

from thresher.exported.folder import ExportError, write_export
from thresher.files import replacing_folder
from thresher.registry.champion_model import read_champion
from thresher.registry.project import open_recipes
from thresher.serving.core.bundle import Bundle


def export_champion(folder: Path, recipe: str, target: Path, environment: str | None) -> Bundle:
    """Write the champion of ``recipe`` into the folder ``target``, which is not there yet.

    Raises:
        ExportError: something is there, or the modality has no encoder of its own to go with it.
        RegistryError: there is no champion.
    """
    if target.exists():
        raise ExportError(f"{target} is there already. Fix: name a new folder, or remove it.")
    if not target.parent.is_dir():
        raise ExportError(f"{target.parent}: no such folder. Fix: make it, or correct the path.")
    with open_recipes(folder, environment) as project:
        bundle = read_champion(recipe, project)
    with replacing_folder(target) as beside:
        write_export(bundle, beside)
    click.echo(f"{target} has version {bundle.info.model_version} of {recipe}. Its README.md says how to use it.")
    return bundle
