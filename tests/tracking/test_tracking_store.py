"""A store of MLflow's is there whole or not at all, whatever a kill has left, and follows its project."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from thresher.tracking.run import end_run, start_run
from thresher.tracking.run_context import TRACKING_URI
from thresher.tracking.settings import TrackingSettings
from thresher.tracking.store import StoreError, follow_project, make_store, mend_store
from thresher.tracking.store_file import registry_is_empty

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
MAKE = "from thresher.tracking.store import make_store; make_store()"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that is whole, and empty."""
    path = tmp_path_factory.mktemp("made") / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TRACKING_URI, f"sqlite:///{path}")
        make_store()
    return path


@pytest.fixture
def store(made: Path, tmp_path: Path, own_mlflow: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "mlflow.db"
    shutil.copy(made, path)
    monkeypatch.setenv(TRACKING_URI, f"sqlite:///{path}")
    return path


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def use(path: Path) -> None:
    """Put a run into the store."""
    client = MlflowClient(f"sqlite:///{path}")
    client.create_run(client.create_experiment("small"))


HALF_MADE = (
    ("DROP TABLE alembic_version",),
    ("DELETE FROM alembic_version",),
    ("UPDATE alembic_version SET version_num = '451aebb31d03'",),  # after its first step
    ("UPDATE alembic_version SET version_num = 'cbc13b556ace'", "DROP TABLE webhooks", "DROP TABLE spans"),
)


@pytest.mark.oddity("Runs", "mlflow.db is a link to a file elsewhere", "the file is mended, and the link stays")
@pytest.mark.parametrize("statements", HALF_MADE[:1])
def test_a_store_behind_a_link_is_made_and_mended_where_it_is(
    store: Path, statements: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    link = store.parent / "project" / "mlflow.db"
    link.parent.mkdir()
    link.symlink_to(store)
    monkeypatch.setenv(TRACKING_URI, f"sqlite:///{link}")
    change(store, *statements)
    mend_store()
    assert link.is_symlink() and not store.exists()
    make_store()
    assert link.is_symlink() and store.stat().st_size > 0


@pytest.mark.oddity("Runs", "a kill has left MLflow's store half made", "a store that holds nothing is made anew")
@pytest.mark.parametrize("statements", HALF_MADE)
def test_a_store_that_is_half_made_and_holds_nothing_is_made_anew(store: Path, statements: tuple[str, ...]) -> None:
    change(store, *statements)
    mend_store()
    assert registry_is_empty() and list(store.parent.glob("*mlflow.db*")) == []


@pytest.mark.parametrize("statements", HALF_MADE[1:])
def test_a_store_that_is_half_migrated_and_holds_a_run_is_left_alone(store: Path, statements: tuple[str, ...]) -> None:
    use(store)
    change(store, *statements)
    before = store.read_bytes()
    with pytest.raises(StoreError, match=r"cannot be brought .*left as it is\. Fix: "):
        mend_store()
    assert store.read_bytes() == before and [path.name for path in store.parent.glob("*mlflow.db*")] == ["mlflow.db"]


def test_a_whole_store_is_left_as_it_is(store: Path) -> None:
    use(store)
    before = store.read_bytes()
    mend_store()
    make_store()
    assert store.read_bytes() == before


def test_what_cannot_be_a_store_is_said_and_left_alone(store: Path) -> None:
    use(store)
    whole = store.read_bytes()
    for content, said in (
        (whole[: len(whole) // 2], r"cannot be used: it has [\d,]+ bytes of [\d,]+"),
        (whole[:4096], "cannot be used: "),
        (b"hello" * 100, "cannot be used: "),
    ):
        store.write_bytes(content)
        with pytest.raises(StoreError, match=said):
            mend_store()
        assert store.read_bytes() == content
    store.write_bytes(whole)
    change(store, "UPDATE alembic_version SET version_num = 'ffffffffffff'")
    with pytest.raises(StoreError, match="was made by a newer MLflow than this one: its schema is ffffffffffff"):
        mend_store()


def test_an_empty_file_and_what_lies_beside_it_is_no_store(store: Path) -> None:
    for name in ("mlflow.db", "mlflow.db-journal", ".mlflow.db.99.part", ".mlflow.db.99.part-journal"):
        (store.parent / name).write_bytes(b"")
    assert registry_is_empty()
    mend_store()
    assert not store.exists() and not (store.parent / "mlflow.db-journal").exists()


def test_a_store_that_another_process_is_just_making_is_not_taken_away(store: Path) -> None:
    change(store, "DELETE FROM alembic_version")
    hold = "import sys; file = open(sys.argv[1]); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(StoreError, match=f"is being made by process {holder.pid}"):
            mend_store()
        holder.kill()
    assert store.exists()


@pytest.mark.oddity("Runs", "the first run is killed while MLflow's store is made", "the next run makes it")
def test_a_kill_while_a_store_is_made_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mlflow.db"
    monkeypatch.setenv(TRACKING_URI, f"sqlite:///{path}")
    for size in (300_000,):  # in the middle of the migrations
        process = subprocess.Popen([sys.executable, "-c", MAKE], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while sum(part.stat().st_size for part in tmp_path.glob(".mlflow.db.*.part")) < size:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not path.exists()
    make_store()
    assert [part.name for part in tmp_path.iterdir()] == ["mlflow.db"]
    mend_store()
    use(path)


@pytest.mark.oddity("Runs", "a project is moved with its runs", "their artifacts are found in the new place")
def test_artifacts_follow_a_project_that_was_moved(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settings(project: Path) -> TrackingSettings:
        uri, folder = f"sqlite:///{project}/mlflow.db", (project / "mlartifacts").as_uri()
        monkeypatch.setenv(TRACKING_URI, uri)
        return TrackingSettings(tracking_uri=uri, artifact_folder=folder, system_metrics=False)

    old, new = tmp_path / "old", tmp_path / "a new place"
    old.mkdir()
    store.rename(old / "mlflow.db")
    there = settings(old)
    run = start_run(there, "small", {"seed": 1}, {})
    MlflowClient().log_text(run, "hello", "greeting.txt")
    end_run("FINISHED")
    client = MlflowClient(there.tracking_uri)
    client.create_experiment("elsewhere", (tmp_path / "kept").as_uri())
    assert not follow_project(old, there.artifact_folder)
    old.rename(new)
    here = settings(new)
    assert follow_project(new, here.artifact_folder)
    assert not follow_project(new, here.artifact_folder)
    mlflow.set_tracking_uri(here.tracking_uri)
    assert mlflow.artifacts.load_text(f"runs:/{run}/greeting.txt") == "hello"
    client = MlflowClient(here.tracking_uri)
    again = client.create_run(client.get_experiment_by_name("small").experiment_id).info
    assert again.artifact_uri.startswith(here.artifact_folder)
    assert client.get_experiment_by_name("elsewhere").artifact_location == (tmp_path / "kept").as_uri()
    assert not old.exists()
