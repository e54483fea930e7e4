"""Commands that begin a project and bring data into it. They import little, to be quick."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
from rich.console import Console

from thresher.fetch.fetching import fetch as fetch_data_set
from thresher.fetch.known_sets import KNOWN_SETS
from thresher.project.folder import find_project
from thresher.project.new import new_project


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def new(folder: Path) -> None:
    """Make a project in a new folder: recipes, a catalog, and a place for your own code.

    Go on there with `thresher run digits`.
    """
    package = new_project(folder)
    click.echo(f"Made the project '{folder.resolve().name}'. Your own code goes into src/{package}/. Go on with:")
    if folder.resolve() != Path.cwd():
        click.echo(f"  cd {shlex.quote(str(folder))}")
    click.echo("  thresher check        check recipes and data; run nothing")
    click.echo("  thresher run digits   run a recipe")


@click.command(epilog=f"Data sets and models: {', '.join(KNOWN_SETS)}.")
@click.argument("name", metavar="DATA_SET")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    help="Copy the files from this folder instead of downloading them.",
)
@click.option("--mirror", metavar="URL", help="Download from this address instead.")
def fetch(name: str, source: Path | None, mirror: str | None) -> None:
    """Get a public data set, or a pretrained model, into data/01_raw.

    Every file is checked by SHA-256; an interrupted download goes on where it stopped.
    """

    fetch_data_set(name, source, find_project(), Console(), mirror=mirror)
