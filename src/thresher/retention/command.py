"""What `thresher clean` does."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import click
from rich.filesize import decimal

from thresher.project.folder import find_project
from thresher.retention.artifacts import CleaningError, Item
from thresher.retention.format import make_console, show_choice, show_overview
from thresher.retention.parse_limits import read_age, read_size
from thresher.retention.policy import Choice, choose
from thresher.retention.project import Project, open_project


def clean(
    recipes: Sequence[str], older_than: str | None, keep_at_most: str | None, environment: str | None, yes: bool
) -> None:
    """Show what ``recipes`` left behind, or with a limit free what is beyond it, once that is confirmed.

    Args:
        older_than: an age, such as 30d.
        keep_at_most: a size, such as 5GB.
        yes: free without asking.

    Raises:
        CleaningError: something cannot be looked at or freed, or nobody is there to be asked.
    """
    age, size = read_age(older_than), read_size(keep_at_most)
    with open_project(find_project(), environment) as project:
        names = project.choose_recipes(recipes)
        if age is None and size is None:
            show_overview(make_console(), project.find_items(names, project.find_running(names)))
        else:
            _free_beyond(project, names, age, size, yes)


def _free_beyond(project: Project, names: Sequence[str], age: timedelta | None, size: int | None, yes: bool) -> None:
    console = make_console()
    # Nobody runs what is shown until it is freed: a run could take what is about to go, or crown another champion.
    with project.holding(names) as running:
        choice = choose(project.find_items(names, running), datetime.now(UTC), age, size)
        show_choice(console, choice, size)
        if not choice.to_free:
            return
        if not yes and not _is_confirmed(choice):
            console.print("Nothing was freed.")
            return
        # While the question stood, somebody may have moved the alias of a champion.
        there = choice.to_free if yes else set(project.find_items(names, running))
        with console.status("freeing"):
            freed = _free_all(item for item in choice.to_free if item in there)
        console.print(f"Freed {decimal(freed)}.")


def _is_confirmed(choice: Choice) -> bool:
    if not sys.stdin.isatty():
        raise CleaningError(
            "Nothing was freed: there is no terminal to ask for confirmation. Fix: add --yes to free this."
        )
    return click.confirm(f"Free {decimal(choice.freed)}? Only another run can make it again")


def _free_all(items: Iterable[Item]) -> int:
    """Free ``items`` and return how many bytes that were."""
    problems, freed = [], 0
    for item in items:
        try:
            item.free()
            freed += item.size
        except (OSError, CleaningError) as error:
            problems.append(f"  {item.recipe}, {item.kind} {item.name}: {error}")
    if problems:
        fix = "The rest is freed. Fix: make these places writable and run it again."
        raise CleaningError("\n".join(["Not freed:", *problems, fix]))
    return freed
