"""The commands about the machine that will serve."""

from __future__ import annotations

from pathlib import Path

import click

from thresher.cli.champions import NO_BENTO
from thresher.project.folder import find_project
from thresher.target.command import judge_measured
from thresher.target.command import measure as measure_elsewhere

ENVIRONMENT = click.option("--env", metavar="ENV", help="The environment, a folder of conf/, whose data is meant.")


@click.command()
@click.argument("recipe")
@click.argument("target", type=click.Path(path_type=Path), metavar="FOLDER|ARCHIVE")
@click.option(
    "--try",
    "tries",
    multiple=True,
    metavar="SETTING",
    help="An execution provider, and keys of ONNX Runtime's session: CPUExecutionProvider,KEY=VALUE; may be repeated.",
)
@ENVIRONMENT
def measure(recipe: str, target: Path, tries: tuple[str, ...], env: str | None) -> None:
    """Write all candidates of the last run into a folder, or a .tar.gz, that times them on another machine.

    The folder needs Python, numpy and ONNX Runtime there. Its measure.py times all candidates in turns with float as
    the verdict does, compares their answers with those here, and writes a file for `thresher judge`.
    """
    measure_elsewhere(find_project(), recipe, target, tries, env)


@click.command()
@click.argument("recipe")
@click.option("--measured", "file", required=True, type=click.Path(path_type=Path), help="What measure.py has written.")
@click.option("--crown", metavar="REASON", help="Make the winner there the champion, with its setting.")
@NO_BENTO
@ENVIRONMENT
def judge(recipe: str, file: Path, crown: str | None, no_bento: bool, env: str | None) -> None:
    """Judge the candidates of the last run by what another machine has measured.

    The verdict, the model card and the report are written into data/08_reporting. The exit code is 1 where no candidate
    meets there what the recipe requires. Without --crown the registry stays as it is.
    """
    judge_measured(find_project(), recipe, file, env, crown, not no_bento)
