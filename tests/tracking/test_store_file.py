"""What MLflow's store answered counts for as long as the file and MLflow stay as they are."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from thresher import files
from thresher.tracking import store_file
from thresher.tracking.run_context import enter_project
from thresher.tracking.store_file import MEMORY, remembered

Ask = Callable[[], str]


@pytest.fixture
def store(tmp_path: Path, own_mlflow: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store that was written long ago."""
    path = tmp_path / "mlflow.db"
    write(path, "CREATE TABLE told (value TEXT)", "INSERT INTO told VALUES ('first')")
    enter_project(f"sqlite:///{path}", tmp_path / "state" / "spool")
    monkeypatch.setattr(files, "SETTLED_S", -60)
    return path


@pytest.fixture
def asked(store: Path) -> list[str]:
    """What was answered by the store itself, in order."""
    return []


@pytest.fixture
def ask(store: Path, asked: list[str]) -> Ask:
    def read() -> str:
        with closing(sqlite3.connect(store)) as connection:
            asked.append(connection.execute("SELECT value FROM told").fetchone()[0])
        return asked[-1]

    return read


def write(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_a_store_is_asked_once_until_somebody_writes_into_it(store: Path, ask: Ask, asked: list[str]) -> None:
    assert [remembered("who", ask) for _ in range(3)] == ["first"] * 3
    assert len(asked) == 1
    write(store, "UPDATE told SET value = 'second'")  # as long as before: times and content alone differ
    assert [remembered("who", ask) for _ in range(3)] == ["second"] * 3
    assert len(asked) == 2
    assert remembered("another question", ask) == "second" and len(asked) == 3
    assert remembered("who", ask) == "second" and len(asked) == 3


def test_what_waits_in_a_write_ahead_log_is_a_change(store: Path, ask: Ask, asked: list[str]) -> None:
    write(store, "PRAGMA journal_mode = WAL")
    remembered("who", ask)
    with closing(sqlite3.connect(store)) as held:  # which keeps the log beside the file
        held.execute("SELECT * FROM told").fetchall()
        write(store, "UPDATE told SET value = 'in the log'")
        assert store.with_name("mlflow.db-wal").stat().st_size
        assert remembered("who", ask) == "in the log"


def test_another_mlflow_asks_anew(ask: Ask, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    remembered("who", ask)
    monkeypatch.setattr(store_file, "version", lambda _: "4.0.0")
    assert remembered("who", ask) == "first" and len(asked) == 2


def test_a_store_that_was_just_written_is_not_trusted(
    ask: Ask, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SETTLED_S", 3600)
    remembered("who", ask)
    remembered("who", ask)
    assert len(asked) == 2


def test_a_server_is_always_asked(ask: Ask, asked: list[str], tmp_path: Path) -> None:
    enter_project("http://runs.example:5000", tmp_path / "state" / "spool")
    remembered("who", ask)
    remembered("who", ask)
    assert len(asked) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": 1}', "\x00"])
def test_a_damaged_memory_costs_the_question_alone(ask: Ask, asked: list[str], tmp_path: Path, text: str) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / MEMORY).write_text(text)
    assert [remembered("who", ask) for _ in range(2)] == ["first"] * 2
    assert len(asked) == 1
