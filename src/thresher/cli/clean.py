"""`thresher clean`."""

from __future__ import annotations

import click

from thresher.retention.command import clean as clean_recipes


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
    clean_recipes(recipes, older_than, keep_at_most, env, yes)
