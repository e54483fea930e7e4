"""What `thresher.adapters.mlflow` relies on in MLflow."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import mlflow
import pytest
import sqlalchemy
from helpers.contract import relied_on
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Dataset

from thresher.adapters.mlflow import (
    delete_for_good,
    forget_active_run,
    is_failure_of_server,
    known_revisions,
    make_tables,
    start_run,
    upgrade_tables,
)

ADAPTER = "src/thresher/adapters/mlflow.py"
MONITOR = "SystemMetricsMonitor"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with relied_on("mlflow", "mlflow.store.db.utils makes and upgrades all tables behind an engine", ADAPTER):
        engine = sqlalchemy.create_engine(f"sqlite:///{path}", poolclass=sqlalchemy.pool.NullPool)
        make_tables(engine)
        upgrade_tables(engine)
    return path


@pytest.fixture
def tracked(database: Path, own_mlflow: None) -> Path:
    mlflow.set_tracking_uri(f"sqlite:///{database}")
    return database


def test_the_newest_known_revision_is_that_of_a_new_database(database: Path) -> None:
    with relied_on("mlflow", "its alembic configuration knows all revisions of the schema", ADAPTER):
        with closing(sqlite3.connect(database)) as connection:
            (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        assert known_revisions()[0] == revision and len(known_revisions()) > 30


def test_a_run_in_the_bin_is_deleted_for_good(tracked: Path) -> None:
    with relied_on("mlflow", "a database store has _hard_delete_run and _hard_delete_logged_model", ADAPTER):
        client = mlflow.MlflowClient()
        run = client.create_run("0").info.run_id
        client.log_metric(run, "accuracy", 1.0)
        client.delete_run(run)
        delete_for_good(run, ["m-0123"])
        with closing(sqlite3.connect(tracked)) as connection:
            for table in ("runs", "metrics"):
                assert connection.execute(f"SELECT count(*) FROM {table} WHERE run_uuid = ?", [run]).fetchone() == (0,)


def test_the_active_run_is_forgotten_without_asking_the_server(tracked: Path) -> None:
    with relied_on("mlflow", "fluent._active_run_stack and the monitors' _shutdown_event end a run locally", ADAPTER):
        run = mlflow.start_run(experiment_id="0", log_system_metrics=True)
        watching = [thread for thread in threading.enumerate() if MONITOR in thread.name]
        assert watching, "there is no thread that watches the machine"
        forget_active_run()
        assert mlflow.active_run() is None
        for thread in watching:
            thread.join(timeout=30)
            assert not thread.is_alive()
        assert mlflow.MlflowClient().get_run(run.info.run_id).info.status == "RUNNING"


def test_a_data_set_says_what_its_record_needs() -> None:
    with relied_on("mlflow", "Dataset.to_dict() has the arguments of mlflow.entities.Dataset", "tracking/models.py"):
        data_set = MetaDataset(CodeDatasetSource(tags={}), name="digits.train", digest="0123")
        record = Dataset(**data_set.to_dict())
        assert (record.name, record.digest, record.source_type) == ("digits.train", "0123", "code")


@pytest.mark.parametrize(
    ("status", "body", "fails"),
    [
        (502, "<html>Bad Gateway</html>", True),
        (404, "<html>Not Found</html>", False),
        (200, "<html>Log in</html>", True),
    ],
)
def test_an_answer_that_is_not_mlflows_is_told_in_known_words(
    status: int, body: str, fails: bool, own_mlflow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args: object) -> None: ...

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            mlflow.set_tracking_uri(f"http://127.0.0.1:{server.server_port}")
            with pytest.raises(mlflow.MlflowException) as caught:
                mlflow.get_run("0" * 32)
        finally:
            server.shutdown()
            thread.join()
    with relied_on("mlflow", "errors of a proxy begin with 'API request to' and name the status", ADAPTER):
        assert is_failure_of_server(caught.value) is fails, str(caught.value)


def test_mlflow_does_not_watch_the_environment_of_all_threads() -> None:
    """Its set of names changed while it was read, where another thread logged at the same time."""
    import os

    from mlflow.utils.model_utils import env_var_tracker

    with env_var_tracker() as names:
        os.environ.get("PATH")
    assert not names, "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING no longer turns this off; see thresher/__init__.py"


def test_a_run_begins_without_ipython_and_knows_who_began_it(tracked: Path) -> None:
    script = f"""
import sys, mlflow
from thresher.adapters.mlflow import start_run
mlflow.set_tracking_uri("sqlite:///{tracked}")
run = start_run("0", "a run", {{"winner": "half"}}, False)
print("IPython" in sys.modules, mlflow.active_run().info.run_id == run.info.run_id, run.info.run_name)
print(*sorted(set(run.data.tags) & {{"mlflow.user", "mlflow.source.name", "winner"}}))
"""
    with relied_on("mlflow", "its registry names what looks for notebooks Databricks... and Jupyter...", ADAPTER):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == ["False True a run", "mlflow.source.name mlflow.user winner"]


def test_a_run_that_the_environment_names_goes_on(tracked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow.set_experiment(experiment_id="0")  # another that is active would not have the run
    made = mlflow.MlflowClient().create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", made)
    with relied_on("mlflow", "start_run goes on with a run whose id it is given", ADAPTER):
        assert start_run("0", "named", {"winner": "half"}, False).info.run_id == made
        assert mlflow.get_run(made).data.tags["winner"] == "half"
    mlflow.end_run()
