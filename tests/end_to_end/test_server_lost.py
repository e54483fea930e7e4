"""A whole run whose MLflow server freezes, and one whose server is killed: both end, and nothing is lost or twice."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.tracking_server import TrackingServer, running_server
from kedro_project import TINY, Done, Project, history
from mlflow.entities import Run

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

ONE = TINY | {"candidates": {"int8": TINY["candidates"]["int8"]}}
ENDS_WITHIN_S = 40
"""Of a run that is interrupted; MLflow's client alone would wait for minutes. An idle machine takes 6 s."""


@dataclass(frozen=True)
class Lost:
    """A run that was interrupted before a frozen server, one that went on without a server, one with it again."""

    project: Project
    frozen: Done
    without: Done
    waiting: list[Path]
    back: Done

    @property
    def runs(self) -> list[Run]:
        """In their order."""
        return self.project.mlflow_runs("small")[::-1]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    with running_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def lost(server: TrackingServer, tmp_path_factory: pytest.TempPathFactory) -> Lost:
    folder = tmp_path_factory.mktemp("lost") / "project"
    project = Project(folder, {"MLFLOW_TRACKING_URI": server.address}, server.address)
    project.write_recipe("small", ONE)
    with project.start("frozen", "--pipeline", "small") as started:
        started.wait_until(lambda text: "✓ choose_execution" in text)
        server.send(signal.SIGSTOP)
        try:
            started.process.send_signal(signal.SIGINT)
            frozen = Done(started.process.wait(ENDS_WITHIN_S), started.log.read_text())
        finally:
            server.send(signal.SIGCONT)
    with project.start("without", "--pipeline", "small") as started:
        started.wait_until(lambda text: "✓ train_float" in text)
        server.kill()
        without = started.end()
    waiting = sorted((folder / ".thresher" / "spool").glob("*/*.json"))
    server.start()
    return Lost(project, frozen, without, waiting, project.run())


@pytest.mark.oddity("Runs", "Ctrl-C before a server that is frozen", "the run ends within seconds")
def test_an_interrupted_run_ends_before_a_frozen_server(lost: Lost) -> None:
    assert lost.frozen.code == 130, lost.frozen.text
    assert "Interrupted; the MLflow run is KILLED" in lost.frozen.text
    assert "Traceback" not in lost.frozen.text


def test_a_run_goes_on_without_its_server_up_to_the_registry(lost: Lost) -> None:
    text = lost.without.failed().text
    assert text.count("is away: ") == 1 and "The run goes on" in text
    assert "wait in .thresher/spool" in text
    assert {"train_float", "int8.evaluate_candidate", "judge_candidates"} <= set(lost.without.nodes)
    assert text.rstrip().splitlines()[-1].startswith(f"MLflow at {lost.project.tracking_uri} is away, and its registry")
    assert "retry" not in text.casefold()
    assert len(lost.waiting) > 5


@pytest.mark.oddity("Runs", "a run loses its server for good", "the next run delivers everything, and registers")
def test_the_next_run_delivers_everything_once(lost: Lost) -> None:
    lost.back.succeeded()
    assert [run.info.status for run in lost.runs] == ["KILLED", "FAILED", "FINISHED"]
    without = lost.runs[1]
    assert not list((lost.project.folder / ".thresher" / "spool").glob("*/*"))
    assert len(history(lost.project, without, "float.epoch_loss")) == ONE["training"]["epochs"]
    assert len(history(lost.project, without, "float.accuracy")) == 1
    assert set(lost.project.logged_models(without)) == {"float", "int8"}
    models = lost.project.client.search_logged_models([without.info.experiment_id])
    assert sorted(model.name for model in models) == ["float", "int8"]
    assert lost.project.champion("small").run_id == without.info.run_id, "it made the model"
    (version,) = lost.project.client.search_model_versions("name='small'")
    assert version.tags["candidate"] == without.data.tags["winner"]
