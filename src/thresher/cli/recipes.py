"""Commands on recipes, their data and their runs that need neither torch nor Kedro's session."""

from __future__ import annotations

import json
import sys

import click

from thresher.catalog.check import CheckedRecipe, check_project
from thresher.catalog.readers_page import catalog_schema, readers_page
from thresher.config_loader import make_loader
from thresher.errors import DataError, nearest
from thresher.kinds.listing import list_kinds
from thresher.kinds.record import GROUPS
from thresher.kinds.registry import registry
from thresher.project.folder import find_project
from thresher.recipe import Recipe
from thresher.tracking.settings import resolve
from thresher.tracking.ui import open_ui


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
    broken = 0
    for checked in check_project(make_loader(find_project(), env), recipes):
        error = checked.error if isinstance(checked, CheckedRecipe) else checked
        if error is not None:
            broken += 1
            click.secho(str(error), fg="red", err=True)
        elif isinstance(checked, CheckedRecipe):
            count = checked.num_candidates
            hints = "".join(f"; its data is not here yet: thresher fetch {name}" for name in checked.to_fetch)
            if checked.model_to_fetch is not None:
                hints += f"; its model is not here yet: thresher fetch {checked.model_to_fetch}"
            hints += "" if checked.knows_data else "; its data could not be checked"
            if checked.least_samples:
                hints += f"; its accuracy_drop takes {checked.least_samples:,} test samples or more"
            click.echo(f"{checked.name}: sound, {count} candidate{'s' * (count > 1)}{hints}")
    sys.exit(1 if broken else 0)


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=5000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--env", metavar="ENV", help="A folder of conf/: whose MLflow is meant.")
def ui(port: int, host: str, env: str | None) -> None:
    """Open MLflow on the runs of this project, by `mlflow ui`.

    Where conf/ or MLFLOW_TRACKING_URI names a server, this prints its address.
    """
    folder = find_project()
    open_ui(resolve(make_loader(folder, env)["mlflow"], folder).tracking_uri, host, port)


@click.command()
@click.option("--catalog", is_flag=True, help="Print the schema of catalog entries instead.")
def schema(catalog: bool) -> None:
    """Print the JSON schema of recipes.

    Editors complete and check recipes with it while you type.
    """
    if catalog:
        click.echo(json.dumps(catalog_schema(), indent=2))
        return

    click.echo(json.dumps(Recipe.model_json_schema(by_alias=True), indent=2))


@click.command()
@click.argument("group", required=False)
def kinds(group: str | None) -> None:
    """List what recipes can name, and where it comes from.

    Kinds are Thresher's own, those of installed packages, and those of the project here. A GROUP is model, technique,
    optimizer, schedule, augmentation, metric, reader or modality. The exit code is 1 if one of them cannot be used.
    """
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
    click.echo(readers_page(), nl=False)
