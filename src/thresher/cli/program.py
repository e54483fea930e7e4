"""The `thresher` command. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import sys

import click

from thresher import __version__
from thresher.cli import champions, recipes
from thresher.errors import ThresherError

SECTIONS: dict[str, tuple[click.Command, ...]] = {
    "Begin": (recipes.new, recipes.fetch, recipes.check, recipes.kinds, recipes.schema, recipes.readers),
    "Run": (recipes.plan, recipes.run, recipes.ui, champions.sync, recipes.clean),
    "Serve": (champions.predict, champions.serve, champions.containerize),
    "Choose the champion": (champions.champion, champions.history, champions.promote, champions.rollback),
}
"""The commands in the order in which a person meets them."""


class SectionedGroup(click.Group):
    """A group whose help lists its commands by section."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list a section."""
        width = max(len(name) for name in self.commands)
        for title, commands in SECTIONS.items():
            limit = formatter.width - 6 - width
            rows = [(str(command.name).ljust(width), command.get_short_help_str(limit)) for command in commands]
            with formatter.section(title):
                formatter.write_dl(rows)


@click.group(cls=SectionedGroup, context_settings=recipes.HELP)
@click.version_option(__version__)
def thresher() -> None:
    """One recipe and a data set in; the smallest, fastest model that keeps its accuracy out.

    `thresher new FOLDER` makes a project. In it, `thresher run digits` runs a recipe, `thresher ui` shows its runs, and
    `thresher serve digits` serves its champion.
    """


for _commands in SECTIONS.values():
    for _command in _commands:
        thresher.add_command(_command)


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
