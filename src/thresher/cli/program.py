"""The `thresher` command. The module of a command is imported when the command is asked for, so that help is quick."""

from __future__ import annotations

import importlib
import sys

import click

from thresher import __version__
from thresher.errors import ThresherError, nearest
from thresher.project.folder import configure_logging
from thresher.trouble import explain

HELP = {"help_option_names": ["-h", "--help"]}
SECTIONS = {
    "Begin": {
        "new": ("begin", "Make a project of your own in a new folder."),
        "fetch": ("begin", "Get a public data set, or a pretrained model, into data/01_raw."),
        "readers": ("recipes", "Describe every reader of raw data."),
        "kinds": ("recipes", "List what recipes can name."),
        "schema": ("recipes", "Print the JSON schema of recipes, for editors."),
    },
    "Run": {
        "check": ("recipes", "Check recipes and their data; run nothing."),
        "plan": ("kedro_run", "Show what a run would do, and why; run nothing."),
        "run": ("kedro_run", "Train, compress, judge, register and pack."),
        "ui": ("recipes", "Open MLflow on the runs of this project."),
        "sync": ("champions", "Deliver what MLflow's server missed."),
        "clean": ("clean", "Show what runs have left; free what is old."),
    },
    "The machine that will serve": {
        "measure": ("target", "Write a folder that times all candidates there."),
        "judge": ("target", "Judge by what was measured there."),
    },
    "Serve": {
        "predict": ("predict", "Answer a file, or score new data."),
        "export": ("predict", "Write the champion as files without Thresher."),
        "serve": ("champions", "Serve the champion over HTTP and gRPC."),
        "containerize": ("champions", "Build the champion's container image."),
    },
    "Choose the champion": {
        "champion": ("champions", "Print the tag of the champion's Bento."),
        "history": ("champions", "Show who was champion when, and why."),
        "promote": ("champions", "Make another version the champion."),
        "rollback": ("champions", "Make the former champion the champion again."),
    },
}
"""Section of the help -> command -> its module in this folder and what it does, in the order of use."""
MODULES = {name: module for commands in SECTIONS.values() for name, (module, _) in commands.items()}


class LazyGroup(click.Group):
    """The group of all commands, whose help lists them by section."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """Import a command; an unknown one ends the program with the nearest."""
        if cmd_name not in MODULES:
            ctx.fail(f"No such command '{cmd_name}'. {nearest(cmd_name, MODULES)}")
        command: click.Command = getattr(importlib.import_module(f"thresher.cli.{MODULES[cmd_name]}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list a section."""
        width = max(map(len, MODULES))
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), about) for name, (_, about) in commands.items()])


@click.group(cls=LazyGroup, context_settings=HELP)
@click.version_option(__version__)
def thresher() -> None:
    """Turn a recipe and a data set into the smallest, fastest model that keeps its accuracy.

    `thresher new FOLDER` makes a project. In it, `thresher run digits` runs a recipe, `thresher ui` shows its runs, and
    `thresher serve digits` serves its champion.
    """


def main() -> None:
    """Run the command; what a user can mend is said in words, with exit code 1."""
    try:
        configure_logging()
        thresher()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        mendable = error if isinstance(error, ThresherError) else explain(error)
        if mendable is None:
            raise
        click.secho(str(mendable), fg="red", err=True)
        sys.exit(1)
