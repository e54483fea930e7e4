"""A run whose process was killed does not stay RUNNING for ever."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import mlflow
import psutil
import pytest
from mlflow import MlflowClient

from thresher.tracking.interrupted import HOST, PROCESS, end_interrupted_runs, process_tags
from thresher.tracking.models import find_champion


@pytest.fixture
def experiment(tmp_path: Path, own_mlflow: None) -> str:
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    return mlflow.create_experiment("killed", tmp_path.as_uri())


@pytest.fixture
def dead_process() -> str:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return str(process.pid)


def status_after_sweep(experiment: str, tags: dict[str, str], began: datetime | None = None) -> str:
    start_time = int(began.timestamp() * 1000) if began else None
    run = MlflowClient().create_run(experiment, start_time, tags)
    end_interrupted_runs(experiment)
    return str(MlflowClient().get_run(run.info.run_id).info.status)


@pytest.mark.slow
def test_only_a_dead_process_of_this_machine_is_ended(experiment: str, dead_process: str) -> None:
    assert process_tags() == {HOST: platform.node(), PROCESS: str(os.getpid())}
    assert status_after_sweep(experiment, {HOST: platform.node(), PROCESS: dead_process}) == "KILLED"
    assert status_after_sweep(experiment, process_tags()) == "RUNNING"
    before = datetime.fromtimestamp(psutil.Process().create_time()) - timedelta(minutes=1)
    assert status_after_sweep(experiment, process_tags(), before) == "KILLED", "its process id is used again"
    assert status_after_sweep(experiment, {HOST: "another machine", PROCESS: dead_process}) == "RUNNING"
    assert status_after_sweep(experiment, {}) == "RUNNING"
    assert status_after_sweep(experiment, {HOST: platform.node()}) == "RUNNING"  # of something else than Thresher


def test_a_registry_that_does_not_answer_is_not_one_without_a_champion(
    own_mlflow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mlflow.set_tracking_uri("http://127.0.0.1:1")
    with pytest.raises(mlflow.MlflowException):
        find_champion("digits")
