"""What is logged while the tracking server is away: kept in files, and delivered in order once it is back.

All that a run logs goes through `send`. An entry is delivered at once, or, from the first one on that the server does
not take, written as a file of its own under `.thresher/spool/RUN`. An entry may be delivered more than once, as after a
kill in the middle of it, and leaves the same.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from thresher.errors import ThresherError
from thresher.files import replacing_file
from thresher.tracking.entries import AnyEntry, Entry
from thresher.tracking.patience import waiting_folders
from thresher.tracking.run_context import NOWHERE, current, run_id, written_whole
from thresher.tracking.server import is_away, why_away

ABOUT = "server.txt"
"""A file in each run's folder: the address of the server that its entries are for."""
RETRY_S = 30
_tried = [0.0]


class SpoolError(ThresherError):
    """Entries that cannot be delivered."""


@dataclass(frozen=True)
class Spooled:
    """The entries of one run that wait, the oldest first."""

    folder: Path

    @property
    def run_id(self) -> str:
        return self.folder.name

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.json"))

    @property
    def server(self) -> str:
        try:
            return (self.folder / ABOUT).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def add(self, entry: Entry) -> None:
        """Keep ``entry`` behind those that are there."""
        if not (self.folder / ABOUT).exists():
            with replacing_file(self.folder / ABOUT) as path:
                path.write_text(current().tracking_uri, encoding="utf-8")
        with replacing_file(self.folder / f"{time.time_ns():020}-{os.getpid()}.json") as path:
            path.write_text(entry.model_dump_json(), encoding="utf-8")

    def deliver(self) -> int:
        """Deliver what waits, each entry deleted after it; return how many that were.

        Raises:
            SpoolError: an entry is damaged, or the server refuses it for good.
            Exception: the server went away again; see `is_away`.
        """
        delivered = 0
        with FileLock(self.folder.with_suffix(".lock")):
            for path in self.files:
                self._deliver(path)
                path.unlink()
                delivered += 1
            if not self.files:
                (self.folder / ABOUT).unlink(missing_ok=True)
                # What is not empty has an entry that the run has just kept, or half of one: it was killed meanwhile.
                with suppress(OSError):
                    self.folder.rmdir()
        self.folder.with_suffix(".lock").unlink(missing_ok=True)
        return delivered

    def _deliver(self, path: Path) -> None:
        from mlflow.exceptions import MlflowException

        try:
            _read(path).deliver(self.run_id)
        except MlflowException as error:
            if is_away(error):
                raise
            what = f"MLflow at {current().tracking_uri} refuses {path}: {_short(error)}"
            fix = f"bring back its run, or delete {self.folder}; what it holds is lost to MLflow, not to data/"
            raise SpoolError(f"{what}. It is kept. Fix: {fix}.") from error


def send(entry: Entry) -> None:
    """Log ``entry`` for the active run: now, or once the server is back.

    Raises:
        MlflowException: MLflow refuses it.
    """
    run, spooled = run_id(), active_spool()
    if spooled and spooled.files and not _deliver_again(spooled):
        spooled.add(entry)
        return
    try:
        with written_whole():
            entry.deliver(run)
    except Exception as error:
        if spooled is None or not is_away(error):
            raise
        spooled.add(entry)
        _tried[0] = time.monotonic()
        uri = current().tracking_uri
        what = "The run goes on; what it logs is kept in .thresher/spool and delivered when the server is back"
        click.secho(f"MLflow at {uri} is away: {_short(error)}. {what}.", fg="yellow", err=True)


def active_spool() -> Spooled | None:
    """Return the spool of the active run; None where it logs into a file of its own, or there is no run."""
    now = current()
    return Spooled(now.spool / now.run_id) if now.spool != NOWHERE and now.run_id and now.has_server else None


def deliver_all() -> dict[str, int]:
    """Deliver what waits for the present server; return run -> number of entries.

    Raises:
        SpoolError: an entry is damaged or refused; what other runs have waiting is delivered all the same.
        Exception: the server went away; see `is_away`.
    """
    uri = current().tracking_uri
    delivered: dict[str, int] = {}
    refused: list[str] = []
    for spooled in map(Spooled, waiting_folders()):
        if spooled.server in (uri, ""):
            try:
                delivered[spooled.run_id] = spooled.deliver()
            except SpoolError as error:
                refused.append(str(error))
    if refused:
        raise SpoolError("\n".join(refused))
    return delivered


def is_waiting(run: str) -> bool:
    """Return whether entries of ``run`` wait for the server."""
    return bool(_of(run).files)


def deliver_at_end(run: str, with_trying: bool) -> None:
    """Try once more to deliver what ``run`` has waiting, and say what is left; to be called when it has ended."""
    spooled = _of(run)
    if not spooled.files:
        return
    if reason := _try(spooled) if with_trying else "the run was interrupted":
        uri, what = (
            current().tracking_uri,
            f"{len(spooled.files)} entries of run {run[:8]} wait in .thresher/spool",
        )
        fix = "The next run delivers them, or: thresher sync"
        click.secho(f"MLflow at {uri} was away ({reason}): {what}. {fix}", fg="yellow", err=True)
    else:
        click.secho(f"MLflow is back: all that run {run[:8]} logged meanwhile is delivered.", err=True)


def _of(run: str) -> Spooled:
    return Spooled(current().spool / run)


def _deliver_again(spooled: Spooled) -> bool:
    """Try to deliver what waits where some time has passed since the last try; return whether nothing waits now."""
    if time.monotonic() - _tried[0] < RETRY_S:
        return False
    _tried[0] = time.monotonic()
    if _try(spooled):
        return False
    click.secho("MLflow is back; what was logged meanwhile is delivered.", err=True)
    return True


def _try(spooled: Spooled) -> str:
    """Deliver; return why that was not possible, or nothing."""
    if reason := why_away():
        return reason
    try:
        spooled.deliver()
    except Exception as error:
        if not is_away(error):
            raise
        return _short(error)
    return ""


def _read(path: Path) -> Entry:
    try:
        entry: Entry = TypeAdapter[Any](AnyEntry).validate_json(path.read_bytes())
    except ValidationError as error:
        what = f"{path} is damaged: {error.errors()[0]['msg']}"
        raise SpoolError(f"{what}. Fix: delete this file; what it holds is lost to MLflow, not to data/.") from error
    return entry


def _short(error: BaseException) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text if len(text) <= 160 else f"{text[:157]}..."
