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

HUB = "hf:"


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
@click.argument("name", metavar="NAME")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    help="Copy the files from this folder instead of downloading them.",
)
@click.option("--mirror", metavar="URL", help="Download from this address instead.")
def fetch(name: str, source: Path | None, mirror: str | None) -> None:
    """Get a public data set, or a pretrained model, into data/01_raw.

    NAME is one of those below, or hf:OWNER/NAME or hf:OWNER/NAME@REVISION for a model of a hub: its config, tokenizer
    or image processor, and safetensors, never a pickle or code. HF_ENDPOINT or --mirror names another hub, HF_TOKEN
    a token. What was fetched is said in fetched.json of the folder, with its commit.

    Every file is checked by SHA-256; an interrupted download goes on where it stopped.
    """
    if name.startswith(HUB):
        if source is not None:
            raise click.UsageError("--from is for data sets. Copy a model's folder into data/01_raw instead.")
        from thresher.fetch.hub import fetch_from_hub

        fetch_from_hub(name, find_project(), Console(), mirror)
        return
    fetch_data_set(name, source, find_project(), Console(), mirror=mirror)
