"""A real MLflow server that is killed, frozen, broken and started again: nothing is lost, and nothing there twice."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlflow
import numpy as np
import pytest
from helpers.tiny_onnx import make_sum_onnx
from helpers.tracking_server import TrackingServer, free_port, running_server
from mlflow import MlflowClient
from mlflow.entities import Run

from thresher.events import Trial
from thresher.hooks.caching import deliver_waiting
from thresher.modalities.image.encoder import ImageEncoder
from thresher.tracking import entries, logs
from thresher.tracking.run import end_run, start_run
from thresher.tracking.run_context import SPOOL, TRACKING_URI, TrackingError, run_id
from thresher.tracking.server import require_server
from thresher.tracking.settings import TrackingSettings
from thresher.tracking.spool import Spooled, SpoolError, deliver_all, send
from thresher.tracking.trials import log_trial

pytestmark = pytest.mark.slow
ENCODER = ImageEncoder(channels=1, mean=(0.0,), std=(1.0,), height=8, width=8, class_names=("even", "odd"))
PATIENT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "60", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    with running_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def spool(server: TrackingServer, tmp_path: Path, own_mlflow: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in {**PATIENT, TRACKING_URI: server.address, SPOOL: str(tmp_path / "spool")}.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "spool"


def start(server: TrackingServer) -> str:
    settings = TrackingSettings(tracking_uri=server.address, artifact_folder=None, system_metrics=True)
    return start_run(settings, "small", {"seed": 1}, {"recipe": "small"})


def log_all(scale: float) -> None:
    """Log one of each kind, with a model that answers by ``scale``."""
    data = entries.Data(recipe="small", train_sha256="a" * 64, test_sha256="b" * 64)
    send(data)
    send(entries.Tags(tags={"winner": "half", entries.NOTE: "# A card\n"}))
    send(entries.Metrics(metrics=[("loss", 1 / (step + 1), 1000 + step, step) for step in range(1500)]))
    send(entries.Metrics(metrics=[("broken", float("nan"), 1000, 0), ("far", float("inf"), 1000, 0)]))
    send(entries.Artifact(path="verdict/plot.png", content=bytes(range(256))))
    onnx_file = make_sum_onnx(ENCODER.model_input, 2, scale)
    model = {"recipe": "small", "candidate": "half", "onnx_file": onnx_file, "encoder": ENCODER.model_dump_json()}
    send(entries.Model.model_validate(model))
    send(entries.Model.model_validate({**model, "figures": {"accuracy": 0.9}, "data": data}))
    log_trial(Trial(1, 3, {"lr": 0.1}, "complete", 0.5, (0.7, 0.5), 2.0, figures={"macs": 3.0}))
    send(entries.ReusedFrom(runs=["f" * 32], section="## Reused from earlier runs\n"))


def check_all(server: TrackingServer, run: str, status: str) -> Run:
    client = MlflowClient(server.address)
    found = client.get_run(run)
    assert found.info.status == status
    tags = found.data.tags
    assert (tags["winner"], tags["reused_from"]) == ("half", "f" * 32)
    assert tags[entries.NOTE].count("# A card") == tags[entries.NOTE].count("## Reused from earlier runs") == 1
    losses = client.get_metric_history(run, "loss")
    assert [(one.step, one.value) for one in losses] == [(step, 1 / (step + 1)) for step in range(1500)]
    assert len(client.get_metric_history(run, "broken")) == 1 and np.isnan(found.data.metrics["broken"])
    assert len(client.get_metric_history(run, "far")) == 1
    path = mlflow.artifacts.download_artifacts(f"runs:/{run}/verdict/plot.png", tracking_uri=server.address)
    assert Path(path).read_bytes() == bytes(range(256))
    (output,) = found.outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert [(metric.key, metric.value) for metric in model.metrics].count(("accuracy", 0.9)) == 1
    assert len(found.inputs.dataset_inputs) == 2
    experiment = found.info.experiment_id
    children = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{run}'")
    assert [child.info.status for child in children] == ["FINISHED"]
    assert children[0].data.metrics == {"best_validation_loss": 0.5, "validation_loss": 0.5, "macs": 3.0}
    assert len(client.get_metric_history(children[0].info.run_id, "validation_loss")) == 2
    return found


@pytest.mark.oddity("Runs", "the tracking server is killed in mid-run", "what is logged waits, and is delivered once")
def test_a_server_that_is_killed_in_mid_run_gets_everything_when_it_is_back(
    server: TrackingServer, spool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = start(server)
    server.kill()
    log_all(0.001)
    said = capsys.readouterr().err
    assert said.count("is away") == 1 and "The run goes on" in said
    end_run("FINISHED")
    assert f"entries of run {run[:8]} wait in .thresher/spool" in capsys.readouterr().err
    waiting = Spooled(spool / run)
    kept = {path.name: path.read_bytes() for path in waiting.files}
    assert len(kept) > 8
    with pytest.raises(TrackingError, match=r"it does not answer: nothing listens there\. Start the server"):
        require_server()
    server.start()
    assert deliver_all() == {run: len(kept)}
    assert not waiting.folder.exists() and deliver_all() == {}
    found = check_all(server, run, "FINISHED")
    # Killed in the middle of delivering, it would do some of it again.
    for name, content in kept.items():
        waiting.folder.mkdir(exist_ok=True)
        (waiting.folder / name).write_bytes(content)
    deliver_all()
    again = check_all(server, run, "FINISHED")
    assert again.info.end_time == found.info.end_time


@pytest.mark.oddity("Runs", "the tracking server is frozen, and goes on later", "the run goes on, and nothing is lost")
def test_a_server_that_is_frozen_gets_everything_when_it_goes_on(
    server: TrackingServer, spool: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(server)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    server.send(signal.SIGSTOP)
    try:
        with pytest.raises(TrackingError, match="no answer within 5 s"):
            require_server()
        log_all(0.002)
        assert capsys.readouterr().err.count("is away") == 1
    finally:
        server.send(signal.SIGCONT)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    end_run("KILLED")  # who interrupts does not wait for a slow answer
    said = capsys.readouterr().err
    assert "(the run was interrupted)" in said and "wait in .thresher/spool" in said
    deliver_all()
    check_all(server, run, "KILLED")
    assert not (spool / run).exists()


class Broken(BaseHTTPRequestHandler):
    """A proxy in front of a server that is not there."""

    def do_GET(self) -> None:
        self.send_response(502)
        self.end_headers()

    do_POST = do_GET  # noqa: N815  # the library's name

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.mark.oddity("Runs", "a proxy in front of MLflow answers 500", "said at the start; in mid-run as a server away")
def test_a_proxy_that_answers_500_is_as_good_as_none(
    server: TrackingServer, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = ThreadingHTTPServer(("127.0.0.1", free_port()), Broken)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{proxy.server_address[1]}"
        start(server)
        monkeypatch.setenv(TRACKING_URI, address)
        mlflow.set_tracking_uri(address)
        with pytest.raises(TrackingError, match="it answers 502 Bad Gateway"):
            require_server()
        logs.log_recipe({"seed": 1})
        waiting = Spooled(spool / run_id())
        assert len(waiting.files) == 1 and waiting.server == address
    finally:
        proxy.shutdown()
        monkeypatch.setenv(TRACKING_URI, server.address)
        mlflow.set_tracking_uri(server.address)
        assert deliver_all() == {}  # it is for another server
        (waiting.files[0]).write_text("{")
        with pytest.raises(SpoolError, match="is damaged"):
            waiting.deliver()
        waiting.files[0].unlink()
        end_run("FINISHED")


@pytest.mark.oddity("Runs", "what waits is of a run that MLflow has no more", "said, and other runs go on")
def test_what_waits_for_a_run_that_is_gone_is_kept_and_stops_no_other(
    server: TrackingServer, spool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, gone = start(server), Spooled(spool / ("0" * 32))
    waiting = Spooled(spool / run)
    for spooled in (gone, waiting):
        spooled.add(entries.Tags(tags={"winner": "half"}))
    with pytest.raises(SpoolError, match=r"refuses .*0{32}.*It is kept\. Fix: bring back its run, or delete"):
        deliver_all()
    assert len(gone.files) == 1 and not waiting.folder.exists()
    deliver_waiting()
    assert "It is kept" in capsys.readouterr().err
    end_run("FINISHED")


def test_what_mlflow_refuses_is_no_server_that_is_away(server: TrackingServer, spool: Path) -> None:
    start(server)
    with pytest.raises(mlflow.MlflowException, match="Invalid"):
        send(entries.Metrics(metrics=[("a//b:\n", 1.0, 0, 0)]))
    assert not spool.exists()
    end_run("FINISHED")
