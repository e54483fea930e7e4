"""Items as a person reads them: what alike is made and stays alike is one row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich import box
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from thresher.retention.artifacts import Item, Kind
from thresher.retention.policy import Choice

GROUPED = (Kind.OUTPUTS, Kind.FILES)
"""Kinds of which there are too many for a row each."""
NAMES_A_ROW = 30
WIDTH_OF_A_LOG = 160


def make_console() -> Console:
    """Return a console for standard output; a log file has no width to keep to."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_OF_A_LOG
    return console


def show_overview(console: Console, items: Sequence[Item]) -> None:
    """Print what there is, what of it stays and why, and how to free the rest."""
    if not items:
        console.print("Runs have left nothing here: there is nothing to free.")
        return
    title = f"{decimal(_sum(items))}, of which {decimal(_sum(item for item in items if not item.kept))} may be freed"
    _print_table(console, title, items, with_reasons=True)
    console.print("Free what is old, or the oldest: each shows first what it would free, and asks.")
    for what, command in (("by age", "--older-than 30d"), ("by size", "--keep-at-most 5GB")):
        console.print(f"  {what + ':':9} thresher clean {command}")


def show_choice(console: Console, choice: Choice, keep_at_most: int | None) -> None:
    """Print what would be freed, what stays whatever its age, and whether the bound is kept."""
    if choice.to_free:
        title = f"To be freed: {decimal(choice.freed)} of {decimal(choice.freed + choice.left)}"
        _print_table(console, title, choice.to_free, with_reasons=False)
    else:
        console.print(f"Nothing is to be freed of {decimal(choice.left)}.")
    within = keep_at_most is None or choice.left <= keep_at_most
    if choice.never_freed and (choice.to_free or keep_at_most is None or not within):
        _print_table(console, f"Never freed: {decimal(_sum(choice.never_freed))}", choice.never_freed, True)
    if keep_at_most is not None and not within:
        stays = f"{decimal(choice.left)} stay, more than {decimal(keep_at_most)}"
        console.print(f"[yellow]{stays}: what is left is never freed, for the reasons above.[/]")
    if any(getattr(item, "is_remote", False) for item in choice.to_free):
        console.print("The artifacts of these runs are on a server: `mlflow gc`, run there, deletes them.")


def _print_table(console: Console, title: str, items: Iterable[Item], with_reasons: bool) -> None:
    table = Table(title=title, title_style="bold", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("recipe", no_wrap=True)
    table.add_column("what", overflow="fold")
    table.add_column("made (UTC)")
    table.add_column("size", justify="right", no_wrap=True)
    if with_reasons:
        table.add_column("stays because")
    for group in _group(items):
        row = [group[0].recipe, _describe(group), _span(group), _size(group)]
        reason = [group[0].kept or "-"] if with_reasons else []
        table.add_row(*(escape(cell) for cell in row + reason))
    console.print(table)


def _group(items: Iterable[Item]) -> list[list[Item]]:
    """Return the rows of the table: by recipe and kind, the oldest first."""
    groups: dict[tuple[str, ...], list[Item]] = {}
    kinds = list(Kind)
    for item in sorted(items, key=lambda item: (item.recipe, kinds.index(item.kind), item.made)):
        single = "" if item.kind in GROUPED else item.name
        groups.setdefault((item.recipe, item.kind, item.kept, single), []).append(item)
    return list(groups.values())


def _describe(group: Sequence[Item]) -> str:
    names = [item.name for item in group]
    more = f" and {len(names) - NAMES_A_ROW} more" if len(names) > NAMES_A_ROW else ""
    used = f", in use until {_moment(group[0].used)}" if group[0].used > group[0].made else ""
    return f"{group[0].kind} {', '.join(names[:NAMES_A_ROW])}{more}{used}"


def _span(group: Sequence[Item]) -> str:
    first, last = _moment(group[0].made), _moment(group[-1].made)
    if first == last:
        return first
    return f"{first} - {last[11:]}" if first[:10] == last[:10] else f"{first[:10]} - {last[:10]}"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def _size(group: Sequence[Item]) -> str:
    size = _sum(group)
    return "on a server" if not size and getattr(group[0], "is_remote", False) else decimal(size)


def _sum(items: Iterable[Item]) -> int:
    return sum(item.size for item in items)
