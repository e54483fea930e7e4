"""What a new user gets: `make run`, which is `kedro run --pipeline digits`, then MLflow, then the service."""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest
import yaml
from kedro_project import EXECUTABLES, REPOSITORY, Done, Project, address, free_port, history
from mlflow.entities import Run

from thresher.pipelines.build import build_pipeline
from thresher.recipe.reading import read_recipe

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

CANDIDATES = ("float", "half_channels", "quarter_channels", "sparse", "int8_dynamic", "int8", "half_int8")


@dataclass(frozen=True)
class DefaultRun:
    project: Project
    done: Done
    commit: str

    @property
    def mlflow_run(self) -> Run:
        runs = self.project.mlflow_runs("digits")
        assert len(runs) == 1
        return runs[0]

    @property
    def verdict(self) -> Any:
        return self.project.read_json("08_reporting/digits/verdict.json")

    @property
    def test_inputs(self) -> np.ndarray:
        return np.asarray(np.load(self.project.folder / "data/05_model_input/digits/test_samples/inputs.npy"))

    @property
    def expected(self) -> np.ndarray:
        """What the winner's evaluated file says to the test split, [N, 10]."""
        file = self.project.folder / "data/06_models/digits" / self.verdict["winner"] / "model.onnx"
        session = onnxruntime.InferenceSession(file.read_bytes())
        return np.asarray(session.run(None, {"image": self.test_inputs})[0])


def commit_all(folder: Path) -> str:
    git = ["git", "-C", str(folder), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "conf", "pipelines"], ["commit", "-q", "-m", "Start"]):
        subprocess.run([*git, *command], check=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> DefaultRun:
    project = Project(Path(tmp_path_factory.mktemp("digits")) / "project", is_warm=False)
    commit = commit_all(project.folder)
    return DefaultRun(project, project.kedro("run").succeeded(), commit)


def test_terminal_ends_with_table_winner_and_commands(default: DefaultRun) -> None:
    text, verdict = default.done.text, default.verdict
    table = text[text.index(f"digits: {verdict['winner']} wins (least latency_ms_p50)") :]
    assert re.search(r"candidate +accuracy +drop \[interval\] +size +MACs +p50 +p99 +verdict +reason", table)
    assert [judged["candidate"] for judged in verdict["candidates"]] == list(CANDIDATES)
    for judged in verdict["candidates"]:
        word = "WINS" if judged["wins"] else "qualifies" if judged["qualifies"] else "fails"
        (row,) = re.findall(rf"^ +{judged['candidate']} .*$", table, re.MULTILINE)
        assert word in row
        assert judged["reason"]
        assert judged["reason"][:20] in row
    tag = (default.project.folder / "data/08_reporting/digits/bento.txt").read_text()
    assert f"is in the Bento {tag}. Go on with:" in table
    assert "thresher ui" in table
    assert "thresher serve digits" in table
    assert "thresher containerize digits" in table


def test_progress_is_visible_throughout(default: DefaultRun) -> None:
    pipeline = build_pipeline("digits", read_recipe(REPOSITORY / "pipelines" / "digits.yml"))
    assert sorted(default.done.nodes) == sorted(node.name for node in pipeline.nodes)
    assert re.search(r"float: epoch 15/15, loss \d", default.done.text)
    assert "UserWarning" not in default.done.text


def test_winner_is_the_fastest_that_qualifies(default: DefaultRun) -> None:
    qualified = [judged for judged in default.verdict["candidates"] if judged["qualifies"]]
    latencies = {judged["candidate"]: judged["metrics"]["latency_ms_p50"]["value"] for judged in qualified}
    assert default.verdict["winner"] == min(latencies, key=lambda name: latencies[name])
    for judged in qualified:
        assert judged["metrics"]["accuracy_drop"]["upper"] <= 0.02
        assert judged["metrics"]["size_bytes"]["value"] <= 250_000
    assert default.verdict["candidates"][0]["metrics"]["accuracy"]["value"] > 0.95


def test_mlflow_run_says_what_was_run_where(default: DefaultRun) -> None:
    run = default.mlflow_run
    assert run.info.status == "FINISHED"
    assert run.data.params["training.epochs"] == "15"
    assert run.data.params["candidates.half_int8.from"] == "half_channels"
    assert run.data.params["candidates.half_channels.steps.0.ratio"] == "0.5"
    tags = run.data.tags
    assert tags["git_commit"] == default.commit
    assert tags["recipe"] == "digits"
    assert tags["contract"] == "holds"
    assert tags["winner"] == default.verdict["winner"]
    assert tags["kedro_command"] == "kedro run"
    assert {"machine.processor", "machine.cores", "machine.vnni", "version.torch", "version.onnxruntime"} <= set(tags)
    assert tags["bento"].startswith("digits:")
    assert "# digits" in tags["mlflow.note.content"]


def test_mlflow_run_names_its_data(default: DefaultRun) -> None:
    fingerprint = default.project.read_json("02_intermediate/digits/fingerprint.json")
    contexts = {}
    for one in default.mlflow_run.inputs.dataset_inputs:
        contexts[{tag.key: tag.value for tag in one.tags}["mlflow.data.context"]] = one.dataset
    assert set(contexts) == {"training", "evaluation"}
    assert contexts["training"].digest == fingerprint["train_sha256"][:36]
    assert contexts["evaluation"].digest == fingerprint["test_sha256"][:36]
    assert default.mlflow_run.data.tags["data_hash"] == fingerprint["train_sha256"]


def test_mlflow_run_holds_the_curves(default: DefaultRun) -> None:
    run = default.mlflow_run
    stored = default.project.read_json("06_models/digits/training_history.json")["epochs"]
    accuracies = history(default.project, run, "float.validation_accuracy")
    assert accuracies == [epoch["validation_metric"] for epoch in stored]
    losses = default.project.client.get_metric_history(run.info.run_id, "float.loss")
    assert len(losses) > 2
    assert all(one.step < next_one.step for one, next_one in pairwise(losses))
    assert losses[-1].value < losses[0].value
    for candidate, epochs in (("half_channels", 8), ("quarter_channels", 12), ("sparse", 5)):
        assert len(history(default.project, run, f"{candidate}.validation_accuracy")) == epochs


def test_mlflow_run_holds_system_metrics(default: DefaultRun) -> None:
    run = default.mlflow_run
    # MLflow takes its first samples 10 s after the start of a run.
    if run.info.end_time - run.info.start_time < 15_000:
        pytest.skip("the run was too short for a sample")
    assert "system/cpu_utilization_percentage" in run.data.metrics


def test_mlflow_run_holds_reports(default: DefaultRun) -> None:
    run, client = default.mlflow_run, default.project.client
    assert default.project.artifacts(run, "") >= {"contract", "verdict", "recipe.json"}
    assert default.project.artifacts(run, "contract") >= {"index.html", "report.json"}
    assert default.project.artifacts(run, "verdict") == {
        "verdict.json",
        "verdict.md",
        "verdict_plot.png",
        "model_card.md",
    }
    folder = Path(client.download_artifacts(run.info.run_id, ""))
    assert json.loads((folder / "verdict/verdict.json").read_text()) == default.verdict
    assert json.loads((folder / "contract/report.json").read_text())["success"] is True
    assert "expect_table_row_count_to_be_between" in (folder / "contract/report.json").read_text()
    assert (folder / "contract/index.html").read_text().lstrip().startswith("<!DOCTYPE html>")
    assert (folder / "verdict/verdict_plot.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "recipe.json").read_text())["candidates"]["int8"]["from"] == "float"
    card = (folder / "verdict/model_card.md").read_text()
    page = (folder / "report/report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert all(candidate in card and candidate in page for candidate in CANDIDATES)
    assert all(html.escape(judged["reason"]) in page for judged in default.verdict["candidates"])


def test_every_candidate_is_a_logged_model_with_its_figures_on_the_test_data(default: DefaultRun) -> None:
    models = default.project.logged_models(default.mlflow_run)
    assert set(models) == set(CANDIDATES)
    judged = {one["candidate"]: one["metrics"] for one in default.verdict["candidates"]}
    for name, model in models.items():
        metrics = {metric.key: metric for metric in model.metrics}
        assert len(metrics) == len(model.metrics)
        assert {metric.dataset_name for metric in model.metrics} == {"digits.test"}
        assert {"accuracy", "accuracy_drop_upper", "size_bytes", "macs", "latency_ms_p99_batch32"} <= set(metrics)
        for metric in ("accuracy", "size_bytes", "latency_ms_p50", "speedup"):
            assert metrics[metric].value == pytest.approx(judged[name][metric]["value"])
        assert model.tags["candidate"] == name


def test_champion_is_registered_with_signature_and_example(
    default: DefaultRun, own_mlflow: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import mlflow

    champion = default.project.champion("digits")
    assert default.project.champion_version("digits") == "1"
    assert champion.run_id == default.mlflow_run.info.run_id
    assert champion.tags["candidate"] == default.verdict["winner"]
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(default.project.tracking_uri)
    info = mlflow.models.get_model_info("models:/digits@champion")
    loaded = mlflow.pyfunc.load_model("models:/digits@champion")
    answer = loaded.predict({"image": default.test_inputs[:, 0]})
    names = [f"probability_{number}" for number in range(10)]
    assert info.signature.inputs.input_names() == ["image"]
    assert info.signature.outputs.input_names() == ["label", "class_index", *names]
    assert info.saved_input_example_info is not None
    np.testing.assert_allclose(answer[names], default.expected, atol=1e-5)


@pytest.fixture(scope="module")
def service(default: DefaultRun) -> Iterator[httpx.Client]:
    """The Bento that the run printed, served by BentoML's own command."""
    (tag,) = re.findall(r"is in the Bento (\S+)\. Go on", default.done.text)
    port = free_port()
    command = [str(EXECUTABLES / "bentoml"), "serve", tag, "--host", "127.0.0.1", "--port", str(port)]
    with default.project.server(command, port, "/readyz") as client:
        yield client
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address(port)}/livez")


def test_service_answers_as_the_evaluated_file(default: DefaultRun, service: httpx.Client) -> None:
    images, expected = default.test_inputs[:, 0], default.expected
    predictions = []
    for start in range(0, len(images), 100):
        answer = service.post("/predict", json={"images": images[start : start + 100].tolist()}).raise_for_status()
        assert (answer.json()["model"], answer.json()["model_version"]) == ("digits", "1")
        predictions += answer.json()["predictions"]
    given = [list(prediction["probabilities"].values()) for prediction in predictions]
    np.testing.assert_allclose(given, expected, atol=1e-5)
    labels = [prediction["label"] for prediction in predictions]
    assert labels == [str(index) for index in expected.argmax(1)]


def test_bento_says_where_it_comes_from(default: DefaultRun) -> None:
    name, version = default.mlflow_run.data.tags["bento"].split(":")
    bento = yaml.safe_load((default.project.bentoml_home / "bentos" / name / version / "bento.yaml").read_text())
    assert bento["labels"] == {
        "recipe": "digits",
        "model_version": "1",
        "mlflow_run_id": default.mlflow_run.info.run_id,
        "data_hash": default.mlflow_run.data.tags["data_hash"],
        "git_commit": default.commit,
    }


def test_nothing_is_written_but_data_runs_and_bentos(default: DefaultRun) -> None:
    new = {path.name for path in default.project.folder.iterdir()}
    given = {"conf", "pipelines", "pyproject.toml", "bentofile.yaml", "src", ".home", ".git"}
    made = {"data", ".thresher", "mlflow.db", "mlartifacts"}
    assert new - given <= {*made, ".viz"}  # that one is Kedro-Viz's, where it is installed
    pickles = [path for path in default.project.folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pt", ".pth")]
    assert pickles == []
