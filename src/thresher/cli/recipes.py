"""Commands on recipes and their data, before, instead of and after a run."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from thresher.fetch.known_sets import KNOWN_SETS

HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def new(folder: Path) -> None:
    """Make a project in a new folder: recipes, a catalog, and a place for your own code.

    Go on there with `thresher run digits`.
    """
    from thresher.project.new import new_project

    package = new_project(folder)
    click.echo(f"Made {folder}. Your own code goes into src/{package}/. Go on with:")
    click.echo(f"  cd {shlex.quote(str(folder))}")
    click.echo("  thresher check        check recipes and data; run nothing")
    click.echo("  thresher run digits   run a recipe")


@click.command()
@click.argument("recipes", nargs=-1, metavar="[RECIPE]...")
@click.option(
    "--env",
    metavar="ENV",
    help="The environment, a folder of conf/, whose catalog and parameters override those of base.",
)
def check(recipes: tuple[str, ...], env: str | None) -> None:
    """Check recipes and the data that they name; run nothing.

    A RECIPE is a name or a file; without any, all of pipelines/ are checked.
    """
    from thresher.catalog.check import CheckedRecipe, check_project
    from thresher.config_loader import make_loader
    from thresher.project.folder import find_project

    broken = 0
    for checked in check_project(make_loader(find_project(), env), recipes):
        error = checked.error if isinstance(checked, CheckedRecipe) else checked
        if error is not None:
            broken += 1
            click.secho(str(error), fg="red", err=True)
        elif isinstance(checked, CheckedRecipe):
            count = checked.num_candidates
            hints = "".join(f"; its data is not here yet: thresher fetch {name}" for name in checked.to_fetch)
            hints += "" if checked.knows_data else "; its data could not be checked"
            click.echo(f"{checked.name}: sound, {count} candidate{'s' * (count > 1)}{hints}")
    sys.exit(1 if broken else 0)


def _as_kedro(name: str, short_help: str) -> click.Command:
    """Return a command with options of Kedro's, which takes a second to import."""

    def call(arguments: tuple[str, ...]) -> None:
        from thresher.project.folder import find_project

        if not {"-h", "--help"} & set(arguments):
            find_project()  # outside of one, Kedro's commands speak of their logging as soon as they are imported
        from thresher.cli import kedro_run

        command: click.Command = getattr(kedro_run, f"{name}_command")
        path = click.get_current_context().command_path
        command.main(list(arguments), prog_name=path, standalone_mode=False, **HELP)

    arguments = click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)
    settings = {"ignore_unknown_options": True}
    return click.Command(
        name, settings, call, [arguments], short_help=short_help, help=short_help, add_help_option=False
    )


run = _as_kedro("run", "Run a recipe: validate, train, compress, judge, register, pack.")
plan = _as_kedro("plan", "Print what a run of a recipe would do, and why; run nothing.")


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=5000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--env", metavar="ENV", help="A folder of conf/: whose MLflow is meant.")
def ui(port: int, host: str, env: str | None) -> None:
    """Open MLflow on the runs of this project, by `mlflow ui`.

    Where conf/ or MLFLOW_TRACKING_URI names a server, this prints its address.
    """
    from thresher.config_loader import make_loader
    from thresher.project.folder import find_project
    from thresher.tracking.settings import resolve
    from thresher.tracking.ui import open_ui

    folder = find_project()
    open_ui(resolve(make_loader(folder, env)["mlflow"], folder).tracking_uri, host, port)


@click.command()
@click.option("--catalog", is_flag=True, help="Print the schema of catalog entries instead.")
def schema(catalog: bool) -> None:
    """Print the JSON schema of recipes.

    Editors complete and check recipes with it while you type.
    """
    if catalog:
        from thresher.catalog.readers_page import catalog_schema

        click.echo(json.dumps(catalog_schema(), indent=2))
        return
    from thresher.recipe import Recipe

    click.echo(json.dumps(Recipe.model_json_schema(by_alias=True), indent=2))


@click.command()
@click.argument("group", required=False)
def kinds(group: str | None) -> None:
    """List what recipes can name, and where it comes from.

    Kinds are Thresher's own, those of installed packages, and those of the project here. A GROUP is model, technique,
    optimizer, schedule, augmentation, metric, reader or modality. The exit code is 1 if one of them cannot be used.
    """
    from thresher.errors import DataError, nearest
    from thresher.kinds.listing import list_kinds
    from thresher.kinds.record import GROUPS
    from thresher.kinds.registry import registry

    if group is not None and group not in GROUPS:
        raise DataError(f"There is no group '{group}'. {nearest(group, GROUPS)}")
    lines, problem = list(list_kinds(registry(), group)), registry().problem
    widths = [max((len(line[column]) for line in lines), default=0) for column in range(3)]
    for line in lines:
        cells = "  ".join(cell.ljust(width) for cell, width in zip(line[:3], widths, strict=True))
        click.secho(f"{cells}  {line.problem or line.about}".rstrip(), fg="red" if line.problem else None)
    if problem:
        click.secho(problem, fg="red", err=True)
    sys.exit(1 if problem or any(line.problem for line in lines) else 0)


@click.command()
def readers() -> None:
    """Print every argument of every reader of raw data, as Markdown."""
    from thresher.catalog.readers_page import readers_page

    click.echo(readers_page(), nl=False)


@click.command(epilog=f"Data sets: {', '.join(KNOWN_SETS)}.")
@click.argument("name", metavar="DATA_SET")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    help="Copy the files from this folder instead of downloading them.",
)
@click.option("--mirror", metavar="URL", help="Download from this address instead.")
def fetch(name: str, source: Path | None, mirror: str | None) -> None:
    """Get a public data set into data/01_raw.

    Every file is checked by SHA-256; an interrupted download goes on where it stopped.
    """
    from rich.console import Console

    from thresher.fetch.fetching import fetch as fetch_data_set
    from thresher.project.folder import find_project

    fetch_data_set(name, source, find_project(), Console(), mirror=mirror)


@click.command()
@click.argument("recipes", nargs=-1, metavar="[RECIPE]...")
@click.option("--older-than", metavar="AGE", help="Free what was last used longer ago than this: 12h, 30d, 8w.")
@click.option("--keep-at-most", metavar="SIZE", help="Free the oldest until at most this much is left: 500MB, 5GB.")
@click.option(
    "--env", metavar="ENV", help="The environment, a folder of conf/, whose MLflow holds the runs and champions."
)
@click.option("--yes", is_flag=True, help="Free it without asking.")
def clean(
    recipes: tuple[str, ...], older_than: str | None, keep_at_most: str | None, env: str | None, yes: bool
) -> None:
    """Show what runs have left behind; free what is old.

    Without a limit it shows and changes nothing. With one it shows what it would free, and asks. What a registered
    champion descends from is never freed. A RECIPE is a name; without any, all are meant.
    """
    from thresher.retention.command import clean as clean_recipes

    clean_recipes(recipes, older_than, keep_at_most, env, yes)
