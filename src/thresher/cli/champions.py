"""Commands on champions: which it is, how it is served, and who takes its place."""

from __future__ import annotations

import click
from rich.console import Console

from thresher.packaging.containerize import BuildOptions, next_steps
from thresher.packaging.containerize import containerize as build_image
from thresher.project.folder import find_project
from thresher.registry.command import history as show_history
from thresher.registry.command import promote as promote_version
from thresher.registry.command import rollback as roll_back
from thresher.registry.command import sync as deliver
from thresher.registry.serving import find_champion_bento, newest_recipe
from thresher.registry.serving import serve as serve_champion

ENVIRONMENT = click.option(
    "--env", metavar="ENV", help="The environment, a folder of conf/, whose MLflow holds the registry."
)
REASON = click.option("--reason", metavar="TEXT", required=True, help="Why the champion changes; the history shows it.")
NO_BENTO = click.option("--no-bento", is_flag=True, help="Move only the alias; do not build a Bento.")


@click.command()
@click.argument("recipe")
@ENVIRONMENT
def champion(recipe: str, env: str | None) -> None:
    """Print the tag of the champion's Bento.

    As in `bentoml serve $(thresher champion digits)`: RECIPE:latest is whichever Bento was built last.
    """
    click.echo(find_champion_bento(recipe, env))


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("recipe")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS of bentoml serve]...")
@ENVIRONMENT
def serve(recipe: str, options: tuple[str, ...], env: str | None) -> None:
    """Serve the champion of a recipe, by `bentoml serve`.

    The registered champion is served, whichever Bento is the newest. What follows RECIPE is for `bentoml serve`, such
    as --port 3000.
    """
    serve_champion(recipe, env, options)


@click.command()
@click.argument("recipe", required=False)
@click.option("-t", "--tag", metavar="NAME:TAG", help="The image's tag; by default the Bento's.")
@click.option(
    "--builder",
    type=click.Choice(["docker", "podman", "buildah"]),
    help="The container engine; by default the first that works.",
)
@click.option(
    "--gpu", is_flag=True, help="Build an image that runs the model with CUDA (onnxruntime-gpu, some GB more)."
)
@click.option(
    "--opt",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option for the container engine, such as network=host.",
)
@ENVIRONMENT
def containerize(
    recipe: str | None, tag: str | None, builder: str | None, gpu: bool, options: tuple[str, ...], env: str | None
) -> None:
    """Build the container image of a champion: no torch, no compiler, not root.

    RECIPE is the name of a recipe that has been run, by default the last one; its registered champion is built,
    whichever Bento is the newest. NAME:VERSION is the tag of any Bento.
    """
    console = Console(highlight=False)
    wanted = BuildOptions(lambda: find_champion_bento(recipe or newest_recipe(), env), tag, builder, gpu, options)
    image = build_image(wanted, console)
    console.print(f"Built {image}. {next_steps(image)}", soft_wrap=True)


@click.command()
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
    promote_version(find_project(), recipe, version, reason, env, not no_bento)


@click.command()
@click.argument("recipe")
@REASON
@ENVIRONMENT
@NO_BENTO
def rollback(recipe: str, reason: str, env: str | None, no_bento: bool) -> None:
    """Make the former champion the champion again.

    The model that is rolled back from does not come back by a run; `thresher promote` brings it back.
    """
    roll_back(find_project(), recipe, reason, env, not no_bento)


@click.command()
@click.argument("recipe")
@ENVIRONMENT
def history(recipe: str, env: str | None) -> None:
    """Show who was champion when, by which move and why."""
    show_history(find_project(), recipe, env)


@click.command()
@ENVIRONMENT
def sync(env: str | None) -> None:
    """Deliver to MLflow what runs have logged while its server was away.

    The next run does the same. Nothing is delivered twice.
    """
    deliver(find_project(), env)
