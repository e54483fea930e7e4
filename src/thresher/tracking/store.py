"""MLflow's SQLite store of a project: made whole or not at all, and its artifacts follow the project."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from thresher.adapters.mlflow import known_revisions, make_tables, upgrade_tables
from thresher.errors import ThresherError
from thresher.tracking.settings import SQLITE
from thresher.tracking.store_file import BESIDE, registry_is_empty, remembered, store_path

ALWAYS_THERE = {"alembic_version", "experiments", "workspaces"}
"""Tables that have a row in a store that nobody has used."""
LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
    ("model_versions", "source"),
)
"""(table, column) of MLflow's schema with an address of artifacts."""
PAGE_COUNT, PAGE_SIZE = slice(28, 32), slice(16, 18)
"""Where a SQLite file says how long it is; see https://www.sqlite.org/fileformat.html."""


class StoreError(ThresherError):
    """A SQLite store of MLflow's that cannot be used."""


def make_store() -> None:
    """Make the tracking store of the project where there is none yet: beside its place, and renamed when it is whole.

    A run that is killed meanwhile leaves no half of one. To be called by one process at a time.

    Raises:
        StoreError: it cannot be written.
    """
    path = store_path()
    if path is not None and registry_is_empty():
        with _replacing(path) as beside:
            _migrate(beside)


def is_whole() -> bool:
    """Return whether there is no tracking store yet, or one with all tables of this MLflow's schema.

    Raises:
        StoreError: it is damaged or in use.
    """
    path = store_path()
    if path is None or not path.exists():
        return True
    if path.stat().st_size == 0:
        return False
    with _explaining_errors(path), closing(sqlite3.connect(path, timeout=20)) as connection:
        _refuse_truncated(path)
        return _revision(connection) == remembered("newest revision", lambda: known_revisions()[0])


def mend_store() -> None:
    """See that the tracking store, where there is one, is whole and of this MLflow's schema.

    One that was left half made and holds nothing is deleted. One of an older MLflow is migrated: as a copy, which takes
    its place when it is done. To be called by one process at a time.

    Raises:
        StoreError: it is damaged, in use, of a newer MLflow, or half migrated with something in it.
    """
    path = store_path()
    if path is None or is_whole():
        return None
    if path.stat().st_size == 0:
        return _delete(path)
    with _explaining_errors(path), closing(sqlite3.connect(path, timeout=20)) as connection:
        revision, holds_nothing = _revision(connection), _holds_nothing(connection)
    known = known_revisions()
    if revision is not None and revision not in known:
        what = f"MLflow's store {path} was made by a newer MLflow than this one: its schema is {revision}"
        raise StoreError(f"{what}. Fix: install that MLflow, or set MLFLOW_TRACKING_URI to another store.")
    if holds_nothing:
        _refuse_in_use(path)
        return _delete(path)
    return _upgrade(path)


def follow_project(project: Path, artifact_folder: str | None) -> bool:
    """Let the addresses of artifacts in the project's own store follow the project; return whether it was moved.

    MLflow keeps absolute addresses. Those that end in the folder that the settings name, and lie elsewhere, are where
    the project was before it was moved or copied.

    Args:
        artifact_folder: as an absolute URI; None where a server decides.

    Raises:
        StoreError: the store cannot be changed.
    """
    path = store_path()
    here = f"{project.as_uri()}/"
    # An address outside of the project is meant as it stands, and so is a store there.
    if path is None or artifact_folder is None or not artifact_folder.startswith(here) or registry_is_empty():
        return False
    if not path.is_relative_to(project.resolve()):
        return False
    name = artifact_folder.removeprefix(here)
    with _explaining_errors(path), closing(sqlite3.connect(path, timeout=20)) as connection:
        former = _former_folders(connection, artifact_folder, name)
        with connection:
            for folder in former:
                _readdress(connection, folder, artifact_folder)
    return bool(former)


def _former_folders(connection: sqlite3.Connection, folder: str, name: str) -> list[str]:
    try:
        rows = connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
    except sqlite3.OperationalError:  # a store that is half made has no experiments
        return []
    others = {str(location) for (location,) in rows if location != folder}
    return [location for location in others if location.startswith("file:") and location.endswith(f"/{name}")]


def _readdress(connection: sqlite3.Connection, former: str, folder: str) -> None:
    for table, column in LOCATIONS:
        with suppress(sqlite3.OperationalError):  # MLflow's next schema may lack one
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                (folder, len(former) + 1, former, len(former) + 1, f"{former}/"),
            )


def _upgrade(path: Path) -> None:
    with _replacing(path) as beside:
        with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(beside)) as new:
            old.backup(new)
        try:
            _migrate(beside)
        except Exception as error:
            what = f"MLflow's store {path} is of an older schema and cannot be brought to this one's"
            why = str(error).splitlines()[0]
            fix = "A migration was interrupted, or the file is damaged. It is left as it is. Fix: bring back a backup"
            raise StoreError(f"{what} ({why}). {fix}, or move the file away to begin anew.") from error


def _migrate(path: Path) -> None:
    """Let MLflow make or migrate all tables in the file at ``path``.

    Not through its client, which keeps a connection to each store for as long as the process lives.
    """
    import sqlalchemy

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with closing(sqlite3.connect(path)) as connection:
        is_new = _revision(connection) is None
    engine = sqlalchemy.create_engine(f"{SQLITE}{path}", poolclass=sqlalchemy.pool.NullPool)
    try:
        (make_tables if is_new else upgrade_tables)(engine)
    except (sqlalchemy.exc.SQLAlchemyError, OSError) as error:
        raise StoreError(f"MLflow's store in {path.parent} cannot be made: {str(error).splitlines()[0]}") from error
    finally:
        engine.dispose()


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a path to make a database at; it takes the place of ``path`` if the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*.part*"):  # of a run that was killed
        left.unlink(missing_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield beside
        _delete_companions(path)
        beside.replace(path)
    finally:
        _delete(beside)


def _refuse_truncated(path: Path) -> None:
    with path.open("rb") as file:
        header = file.read(100)
    if header[:16] != b"SQLite format 3\0":
        raise sqlite3.DatabaseError("it is not a SQLite database")
    size = int.from_bytes(header[PAGE_SIZE], "big")
    expected = int.from_bytes(header[PAGE_COUNT], "big") * (65536 if size == 1 else size)
    if path.stat().st_size < expected and not path.with_name(f"{path.name}-wal").exists():
        raise sqlite3.DatabaseError(f"it has {path.stat().st_size:,} bytes of {expected:,}")


def _refuse_in_use(path: Path) -> None:
    """Raise where a process of this user has the store open: it may just be making it."""
    import psutil

    for process in psutil.process_iter(["pid"]):
        with suppress(psutil.Error):
            if process.pid != os.getpid() and any(Path(file.path) == path for file in process.open_files()):
                what = f"MLflow's store {path} is being made by process {process.pid} ({process.name()})"
                raise StoreError(f"{what}. Wait until it has done so, or end it.")


def _holds_nothing(connection: sqlite3.Connection) -> bool:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    used = (table for table in tables - ALWAYS_THERE if not table.startswith("sqlite_"))
    if any(connection.execute(f'SELECT 1 FROM "{table}" LIMIT 1').fetchone() for table in used):
        return False
    if "experiments" not in tables:
        return True
    return all(name == "Default" for (name,) in connection.execute("SELECT name FROM experiments"))


def _revision(connection: sqlite3.Connection) -> str | None:
    try:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        return None
    return str(found[0]) if found else None


@contextmanager
def _explaining_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.DatabaseError, OSError) as error:
        if "locked" in str(error):
            what, fix = "is held by another process", "Wait for its end, or end it"
        else:
            what, fix = "cannot be used", "Make it a readable and writable file, bring back a backup, or move it away"
        raise StoreError(f"MLflow's store {path} {what}: {error}. It is left as it is. Fix: {fix}.") from error


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)
    _delete_companions(path)


def _delete_companions(path: Path) -> None:
    for ending in BESIDE[1:]:
        path.with_name(f"{path.name}{ending}").unlink(missing_ok=True)
