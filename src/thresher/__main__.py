"""The `thresher` command: what needs no run. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from thresher import __version__
from thresher.errors import ThresherError
from thresher.fetch import KNOWN_SETS

HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


@click.group(context_settings=HELP)
@click.version_option(__version__)
def thresher() -> None:
    """One recipe and a data set in; the smallest, fastest model that keeps its accuracy out.

    Recipes are run by `kedro run --pipeline RECIPE`, looked at by `mlflow ui`, served by `thresher serve RECIPE`.
    """


@thresher.command()
@click.argument("recipes", nargs=-1, metavar="[RECIPE]...")
@click.option("--env", metavar="ENV", help="A folder of conf/ whose catalog and parameters come before those of base.")
def check(recipes: tuple[str, ...], env: str | None) -> None:
    """Check recipes and the data that they name; run nothing.

    A RECIPE is a name or a file; without any, all of pipelines/ are checked.
    """
    from thresher.catalog.check import CheckedRecipe, check_project, project_folder
    from thresher.config_loader import make_loader

    broken = 0
    for checked in check_project(make_loader(project_folder(), env), recipes):
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


@thresher.command()
@click.option("--catalog", is_flag=True, help="That of the catalog's entries.")
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


@thresher.command()
def readers() -> None:
    """Print every argument of every reader of raw data, as Markdown."""
    from thresher.catalog.readers_page import readers_page

    click.echo(readers_page(), nl=False)


@thresher.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def plan(arguments: tuple[str, ...]) -> None:
    """Print what a run of a recipe would do, and why; run nothing."""
    from thresher.config_loader import find_project

    if not {"-h", "--help"} & set(arguments):
        find_project()  # outside of one, Kedro's commands speak of their logging as soon as they are imported
    from thresher.cli import plan_command  # its options are Kedro's, which take a second to import

    context = click.get_current_context()
    plan_command.main(list(arguments), prog_name=context.command_path, standalone_mode=False, **HELP)


@thresher.command(epilog=f"Data sets: {', '.join(KNOWN_SETS)}.")
@click.argument("name", metavar="DATA_SET")
@click.option("--from", "source", type=click.Path(path_type=Path), help="A folder that holds the files already.")
@click.option("--mirror", metavar="URL", help="Another address to download from.")
def fetch(name: str, source: Path | None, mirror: str | None) -> None:
    """Get a public data set into data/01_raw.

    Every file is checked by SHA-256; an interrupted download goes on where it stopped.
    """
    from rich.console import Console

    from thresher.fetch import fetch as fetch_data_set

    fetch_data_set(name, source, Path.cwd(), Console(), mirror=mirror)


@thresher.command()
@click.argument("recipes", nargs=-1, metavar="[RECIPE]...")
@click.option("--older-than", metavar="AGE", help="Free what is older: 12h, 30d, 8w.")
@click.option("--keep-at-most", metavar="SIZE", help="Free the oldest until this is left: 500MB, 5GB.")
@click.option("--env", metavar="ENV", help="A folder of conf/: whose MLflow knows the runs and champions.")
@click.option("--yes", is_flag=True, help="Free it without asking.")
def clean(
    recipes: tuple[str, ...], older_than: str | None, keep_at_most: str | None, env: str | None, yes: bool
) -> None:
    """Show what runs have left behind; free what is old.

    Without a limit it shows and changes nothing. With one it shows what it would free, and asks. What a registered
    champion descends from is never freed. A RECIPE is a name; without any, all are meant.
    """
    from thresher.cleaning.command import clean as clean_recipes

    clean_recipes(recipes, older_than, keep_at_most, env, yes)


@thresher.command()
@click.argument("recipe", required=False)
@click.option("-t", "--tag", metavar="NAME:TAG", help="Of the image; by default the Bento's.")
@click.option("--builder", type=click.Choice(["docker", "podman", "buildah"]), help="By default the first that works.")
@click.option("--gpu", is_flag=True, help="An image that runs the model by CUDA (onnxruntime-gpu, some GB more).")
@click.option("--opt", "options", multiple=True, metavar="NAME=VALUE", help="For the builder, such as network=host.")
@click.option("--env", metavar="ENV", help="A folder of conf/: whose MLflow has the registry.")
def containerize(
    recipe: str | None, tag: str | None, builder: str | None, gpu: bool, options: tuple[str, ...], env: str | None
) -> None:
    """Build the container image of a champion: no torch, no compiler, not root.

    RECIPE is the name of a recipe that has been run, by default the last one; its registered champion is built,
    whichever Bento is the newest. NAME:VERSION is the tag of any Bento.
    """
    from rich.console import Console

    from thresher.containers.command import Wanted, next_steps
    from thresher.containers.command import containerize as build_image
    from thresher.registry.serving import find_champion_bento, newest_recipe

    console = Console(highlight=False)

    def find_bento() -> str:
        return find_champion_bento(recipe or newest_recipe(), env)

    image = build_image(Wanted(find_bento, tag, builder, gpu, options), console)
    console.print(f"Built {image}. {next_steps(image)}", soft_wrap=True)


ENVIRONMENT = click.option("--env", metavar="ENV", help="A folder of conf/: whose MLflow has the registry.")
REASON = click.option("--reason", metavar="TEXT", required=True, help="Why, for those who read the history.")
NO_BENTO = click.option("--no-bento", is_flag=True, help="Move the alias alone; build no Bento.")


@thresher.command()
@click.argument("recipe")
@click.argument("version", required=False)
@REASON
@ENVIRONMENT
@NO_BENTO
def promote(recipe: str, version: str | None, reason: str, env: str | None, no_bento: bool) -> None:
    """Make another registered version the champion.

    VERSION is a number or an alias in MLflow's registry; without one, the challenger is meant. Its Bento is built, so
    that `thresher serve RECIPE` serves it.
    """
    from thresher.registry.command import promote as promote_version

    promote_version(recipe, version, reason, env, not no_bento)


@thresher.command()
@click.argument("recipe")
@REASON
@ENVIRONMENT
@NO_BENTO
def rollback(recipe: str, reason: str, env: str | None, no_bento: bool) -> None:
    """Make the former champion the champion again.

    The model that is rolled back from does not come back by a run; `thresher promote` brings it back.
    """
    from thresher.registry.command import rollback as roll_back

    roll_back(recipe, reason, env, not no_bento)


@thresher.command()
@click.argument("recipe")
@ENVIRONMENT
def history(recipe: str, env: str | None) -> None:
    """Show who was champion when, by which move and why."""
    from thresher.registry.command import history as show_history

    show_history(recipe, env)


@thresher.command()
@click.argument("recipe")
@ENVIRONMENT
def champion(recipe: str, env: str | None) -> None:
    """Print the tag of the champion's Bento.

    As in `bentoml serve $(thresher champion digits)`: RECIPE:latest is whichever Bento was built last.
    """
    from thresher.registry.serving import find_champion_bento

    click.echo(find_champion_bento(recipe, env))


@thresher.command(context_settings={"ignore_unknown_options": True})
@click.argument("recipe")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS of bentoml serve]...")
@ENVIRONMENT
def serve(recipe: str, options: tuple[str, ...], env: str | None) -> None:
    """Serve the champion of a recipe, by `bentoml serve`.

    The registered champion is served, whichever Bento is the newest. What follows RECIPE is for `bentoml serve`, such
    as --port 3000.
    """
    from thresher.registry.serving import serve as serve_champion

    serve_champion(recipe, env, options)


@thresher.command()
@ENVIRONMENT
def sync(env: str | None) -> None:
    """Deliver to MLflow what runs have logged while its server was away.

    The next run does the same. Nothing is delivered twice.
    """
    from thresher.registry.command import sync as deliver

    deliver(env)


def main() -> None:
    """Run the command; errors that a user can mend are said in words, with exit code 1."""
    try:
        thresher()
    except ThresherError as error:
        click.secho(str(error), fg="red", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from thresher.trouble import say_trouble

        mendable = say_trouble(error)
        if mendable is None:
            raise
        click.secho(str(mendable), fg="red", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
