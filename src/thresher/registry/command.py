"""What `thresher promote`, `thresher rollback`, `thresher history` and `thresher sync` do in a project's folder."""

from __future__ import annotations

from pathlib import Path

from thresher.registry.format import show_history, show_moved
from thresher.registry.project import open_recipes
from thresher.registry.promotion import move_champion
from thresher.registry.versions import RegistryError, read_registered
from thresher.retention.format import make_console
from thresher.tracking.history import MAX_REASON, PROMOTE, ROLLBACK
from thresher.tracking.patience import waiting_folders
from thresher.tracking.spool import Spooled, deliver_all


def promote(
    folder: Path, recipe: str, version: str | None, reason: str, environment: str | None, with_bento: bool
) -> None:
    """Make ``version``, by default the challenger, the champion of ``recipe``.

    Raises:
        RegistryError: there is no such recipe or version, or the recipe is being run.
    """
    _move(folder, recipe, version, reason, environment, with_bento, back=False)


def rollback(folder: Path, recipe: str, reason: str, environment: str | None, with_bento: bool) -> None:
    """Make the former champion of ``recipe`` the champion again.

    Raises:
        RegistryError: there is none, or the recipe is being run.
    """
    _move(folder, recipe, None, reason, environment, with_bento, back=True)


def history(folder: Path, recipe: str, environment: str | None) -> None:
    """Print the versions and the past champions of ``recipe``."""
    with open_recipes(folder, environment) as project:
        show_history(make_console(), read_registered(recipe, project.names))


def sync(folder: Path, environment: str | None) -> None:
    """Deliver what runs have logged while the tracking server could not be reached.

    Raises:
        RegistryError: some of it is for another server.
        SpoolError: an entry is damaged or refused.
    """
    console = make_console()
    with open_recipes(folder, environment):
        delivered = deliver_all()
        left = [Spooled(place) for place in waiting_folders()]
    for run, count in delivered.items():
        console.print(f"Delivered {count} entries of run {run[:8]}.", highlight=False)
    if left:
        servers = ", ".join(sorted({spooled.server for spooled in left}))
        raise RegistryError(f"{len(left)} runs wait for another server: {servers}. Name it in MLFLOW_TRACKING_URI.")
    if not delivered:
        console.print("Nothing to deliver: MLflow has everything that was logged.")


def _move(
    folder: Path, recipe: str, version: str | None, reason: str, environment: str | None, with_bento: bool, back: bool
) -> None:
    reason = check_reason(reason)
    with open_recipes(folder, environment) as project:
        read_registered(recipe, project.names)  # fails before a lock is made for a recipe that does not exist
        with project.locked(recipe):
            registered = read_registered(recipe, project.names)
            number = registered.find_former() if back else registered.find(version)
            move = ROLLBACK if back else PROMOTE
            moved = move_champion(project, registered, number, move, reason, with_bento)
        show_moved(make_console(), recipe, moved)


def check_reason(reason: str) -> str:
    """Return ``reason`` without the space around it.

    Raises:
        RegistryError: it is empty or longer than the registry keeps.
    """
    reason = reason.strip()
    if not reason:
        raise RegistryError("--reason is empty. Give the reason in a few words; the history shows it.")
    if len(reason) > MAX_REASON:
        raise RegistryError(f"--reason has {len(reason):,} characters; at most {MAX_REASON:,} are kept. Shorten it.")
    return reason
