"""A recipe's versions and champions as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from thresher.datasets.registered import read_metrics
from thresher.evaluation.metrics import format_value
from thresher.registry.promotion import Moved
from thresher.registry.versions import Registered
from thresher.tracking.history import CHALLENGER, ELSEWHERE, find_reigns

SHOWN_METRICS = ("accuracy", "rmse", "size_bytes", "latency_ms_p50")
"""The first of a version's metrics that begins with each; all of them are in MLflow."""
SHORT_ID = 8
UNKNOWN = "?"


def show_history(console: Console, registered: Registered) -> None:
    """Print who was champion when and why, and what each version is."""
    _show_champions(console, registered)
    _show_versions(console, registered)


def show_moved(console: Console, recipe: str, moved: Moved) -> None:
    """Print who is champion now, who was, and how to serve it."""
    if moved.former == moved.version:
        console.print(f"Version {moved.version} is champion of {recipe} already; nothing is recorded.")
    else:
        before = f"before, it was version {moved.former}" if moved.former else "there was none"
        console.print(f"Version {moved.version} is champion of {recipe}; {before}.")
    for notice in moved.notices:
        console.print(notice, markup=False)
    if moved.bento:
        console.print(f"Its Bento is {moved.bento}. Serve it: thresher serve {recipe}", markup=False)
    else:
        command = f"thresher promote {recipe} {moved.version} --reason TEXT"
        console.print(f"Its Bento was not built. Build it: {command}", markup=False)


def _show_champions(console: Console, registered: Registered) -> None:
    table = _table(f"Champions of {registered.recipe}", "version", "from (UTC)", "to", "by", "reason")
    reigns = find_reigns(registered.moves, registered.champion)
    for reign in reversed(reigns):
        lasts = reign is reigns[-1] and reign.version == registered.champion
        by = "something else" if reign.move == ELSEWHERE else f"{reign.move} {reign.run_id[:SHORT_ID]}".strip()
        who = f" ({reign.by})" if reign.by and not reign.run_id else ""
        end = "now" if lasts else _moment(reign.ended)
        _add(table, reign.version, _moment(reign.began), end, by + who, reign.reason)
    if reigns:
        console.print(table)
    else:
        console.print(f"{registered.recipe} has no champion and never had one.")


def _show_versions(console: Console, registered: Registered) -> None:
    entered = {move.version: move.reason for move in registered.moves if move.alias == CHALLENGER}
    metrics = {number: read_metrics(version) for number, version in registered.versions.items()}
    names = _choose_metrics(metrics)
    table = _table("Versions", "version", "registered (UTC)", "candidate", "run", "alias", *names, "as challenger")
    for number, version in reversed(registered.versions.items()):
        values = [format_value(name, metrics[number][name]) if name in metrics[number] else "-" for name in names]
        aliases = ", ".join(alias for alias, other in sorted(registered.aliases.items()) if other == number)
        made = datetime.fromtimestamp(version.creation_timestamp / 1000, UTC)
        about = (_moment(made), _tag(version, "candidate"), (version.run_id or UNKNOWN)[:SHORT_ID], aliases or "-")
        _add(table, number, *about, *values, entered.get(number, "-"))
    console.print(table)


def _choose_metrics(metrics: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return the columns that at least one version has a value for."""
    known = sorted({name for values in metrics.values() for name in values})
    chosen = (next((name for name in known if name.startswith(prefix)), None) for prefix in SHOWN_METRICS)
    return list(dict.fromkeys(name for name in chosen if name))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_style="bold", title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _add(table: Table, *cells: str) -> None:
    table.add_row(*map(escape, cells))


def _tag(version: Any, name: str) -> str:
    return str(version.tags.get(name, UNKNOWN))


def _moment(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if moment else UNKNOWN
