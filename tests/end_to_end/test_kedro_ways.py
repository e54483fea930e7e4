"""Kedro's own options work on a recipe: environments, parameters, nodes, tags, runners; one story in one project.

Every run here stands on those before it, as they do for a user; the fixtures say the order.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from helpers.tracking_server import running_server
from kedro_project import SMALL, SMALL_CANDIDATES, Done, NewProject, Project, history

from thresher.pipelines.build import build_pipeline
from thresher.recipe import Recipe

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

PIPELINE = build_pipeline("small", Recipe.model_validate(SMALL))
ENDLESS = "small.training.epochs=100000"


@pytest.fixture(scope="module")
def project(new_project: NewProject) -> Project:
    return new_project("small")


@pytest.fixture(scope="module")
def full(project: Project) -> Done:
    """A whole run, with a broken recipe beside it."""
    return project.run().succeeded()


def test_broken_recipe_beside_stops_nothing(project: Project, full: Done) -> None:
    assert sorted(full.nodes) == sorted(node.name for node in PIPELINE.nodes)
    assert project.mlflow_runs("small")[-1].info.status == "FINISHED"


@pytest.fixture(scope="module")
def one_candidate(project: Project, full: Done) -> Done:
    return project.run("--fresh", "--tags", "half_int8").succeeded()


def test_tag_runs_one_candidate_alone(project: Project, one_candidate: Done) -> None:
    assert one_candidate.nodes == [
        f"half_int8.{name}" for name in ("quantize_onnx", "predict_test", "evaluate_candidate")
    ]
    run = project.mlflow_runs("small")[0]
    assert run.data.tags["kedro_command"] == "kedro run --pipelines small --tags half_int8 --params run.fresh=True"
    assert set(project.logged_models(run)) == {"half_int8"}
    assert "half_int8.size_bytes" in run.data.metrics


@pytest.fixture(scope="module")
def judged_again(project: Project, one_candidate: Done) -> Done:
    return project.run("--fresh", "--from-nodes", "judge_candidates").succeeded()


def test_from_nodes_judges_without_training_again(project: Project, judged_again: Done) -> None:
    assert sorted(judged_again.nodes) == [
        "build_champion_bento",
        "challenge_champion",
        "crown_champion",
        "draw_verdict",
        "judge_candidates",
        "write_reports",
    ]
    run = project.mlflow_runs("small")[0]
    models = project.logged_models(run)
    assert set(models) == set(SMALL_CANDIDATES)
    for name, model in models.items():
        # Its own figures, and no other candidate's.
        metrics = [metric for metric in model.metrics if metric.run_id == run.info.run_id]
        assert {metric.dataset_name for metric in metrics} == {"small.test"}
        values = [metric.value for metric in metrics if metric.key == "size_bytes"]
        assert values == [project.read_json(f"08_reporting/small/{name}/evaluation.json")["cost"]["size_bytes"]]


def test_the_same_winner_is_not_crowned_over_itself(project: Project, judged_again: Done) -> None:
    champion = project.champion("small")
    assert project.champion_version("small") == "1"
    # It is the same model: the version leads to the run that made it.
    assert champion.run_id == project.mlflow_runs("small")[-1].info.run_id
    assert "The champion, version 1, stays: it is the champion itself." in judged_again.text
    assert project.mlflow_runs("small")[0].data.tags["challenge"] == "lost: it is the champion itself"


@pytest.fixture(scope="module")
def nobody(project: Project, judged_again: Done) -> Done:
    return project.run(
        "--from-nodes", "judge_candidates", "--params", "small.selection.require.size_bytes.at_most=1"
    ).failed()


def test_nobody_qualifies_and_the_alias_stays(project: Project, nobody: Done) -> None:
    assert "no candidate meets selection.require; the registry is unchanged" in nobody.text
    for name in SMALL_CANDIDATES:
        assert f"  {name}: size_bytes " in nobody.text
    assert "> 1 bytes" in nobody.text
    assert project.champion_version("small") == "1"
    assert len(project.client.search_model_versions("name = 'small'")) == 1


def test_nobody_qualifies_and_the_verdict_is_logged(project: Project, nobody: Done) -> None:
    run = project.mlflow_runs("small")[0]
    assert run.info.status == "FAILED"
    assert run.data.tags["winner"] == "none"
    assert "no candidate meets" in run.data.tags["error"]
    assert {"verdict.json", "verdict.md"} <= project.artifacts(run, "verdict")
    assert set(project.logged_models(run)) == set(SMALL_CANDIDATES)


def is_training(text: str) -> bool:
    return "float: epoch" in text


@pytest.fixture(scope="module")
def interrupted(project: Project, nobody: Done) -> Done:
    nodes = ("--from-nodes", "train_float", "--params", ENDLESS)
    return project.interrupt(signal.SIGINT, is_training, *nodes).failed(130)


def test_interrupt_kills_the_mlflow_run(project: Project, interrupted: Done) -> None:
    run = project.mlflow_runs("small")[0]
    assert run.info.status == "KILLED"
    assert len(history(project, run, "float.validation_accuracy")) >= 1
    assert "Interrupted" in interrupted.text


@pytest.fixture(scope="module")
def terminated(project: Project, interrupted: Done) -> Done:
    nodes = ("--from-nodes", "train_float", "--params", ENDLESS)
    return project.interrupt(signal.SIGTERM, is_training, *nodes).failed(143)


def test_termination_kills_the_mlflow_run(project: Project, terminated: Done) -> None:
    run = project.mlflow_runs("small")[0]
    assert run.info.status == "KILLED"
    assert "Terminated" in terminated.text
    parts = [path for path in (project.folder / "data").rglob("*") if path.name.endswith(".part")]
    assert parts == []


@pytest.fixture(scope="module")
def worse(project: Project, terminated: Done) -> Done:
    """A run after those that were killed, which hardly learns anything."""
    untrained = "small.training.epochs=1,small.training.optimizer.lr=0.0000001"
    changes = f"{untrained},small.selection.allow_no_better_than_baseline=true"
    return project.run("--from-nodes", "train_float", "--params", changes).succeeded()


def test_parameter_of_the_command_line_counts(project: Project, worse: Done) -> None:
    run = project.mlflow_runs("small")[0]
    assert run.info.status == "FINISHED"
    assert len(history(project, run, "float.validation_accuracy")) == 1
    assert len(project.read_json("06_models/small/training_history.json")["epochs"]) == 1
    assert run.data.params["training.epochs"] == "1"
    assert "small.training.epochs=1" in run.data.tags["kedro_command"]


def test_worse_winner_leaves_the_champion(project: Project, worse: Done) -> None:
    assert project.champion_version("small") == "1"
    assert "The champion, version 1, stays: less accurate than the champion" in worse.text
    assert project.mlflow_runs("small")[0].data.tags["challenge"].startswith("lost: less accurate")


def test_gpu_environment_without_a_gpu_is_an_error(project: Project, worse: Done) -> None:
    one_node = ("--nodes", "train_float")
    done = project.run("--env", "gpu", *one_node, CUDA_VISIBLE_DEVICES="").failed()
    assert "training.device: cuda, but torch" in done.text
    assert "Use auto or cpu" in done.text


def test_environment_overlays_the_recipe_and_one_candidate_is_run(new_project: NewProject) -> None:
    project = new_project("environment")
    overlay = {"every_recipe": {"training": {"batch_size": 64}}, "small": {"training": {"epochs": 3}}}
    # A candidate that no recipe file has: the pipeline itself comes from the environment.
    overlay["small"]["candidates"] = {"dynamic": [{"kind": "quantize_dynamic"}]}  # type: ignore[dict-item]
    project.write_configuration("quick", "parameters", overlay)
    done = project.run("--env", "quick", "--to-nodes", "dynamic.evaluate_candidate").succeeded()
    nodes = {"fingerprint_data", "describe_samples", "check_contract", "hold_out", "fit_encoder", "encode_samples"}
    nodes |= {"choose_execution", "train_float"}
    nodes |= {f"float.{name}" for name in ("export_network", "predict_test")}
    nodes |= {f"dynamic.{name}" for name in ("quantize_onnx", "predict_test", "evaluate_candidate")}
    assert set(done.nodes) == nodes
    (run,) = project.mlflow_runs("small")
    assert len(history(project, run, "float.validation_accuracy")) == 3
    assert (run.data.params["training.batch_size"], run.data.params["training.epochs"]) == ("64", "3")
    assert "--env quick" in run.data.tags["kedro_command"]
    assert set(project.logged_models(run)) == {"dynamic"}


def test_parallel_runner_logs_to_one_run(new_project: NewProject) -> None:
    project = new_project("parallel")
    done = project.run("--runner", "ParallelRunner").succeeded()
    check_whole_run(project, done)


def test_thread_runner_logs_to_one_run_of_a_real_server(new_project: NewProject, tmp_path: Path) -> None:
    project = new_project("server")
    with running_server(tmp_path) as server:
        project.tracking_uri = server.address
        project.write_configuration("prod", "mlflow", {"tracking_uri": project.tracking_uri, "artifact_folder": None})
        done = project.run("--env", "prod", "--runner", "ThreadRunner").succeeded()
        check_whole_run(project, done)
        assert f"open {project.tracking_uri}" in done.text
    assert not (project.folder / "mlflow.db").exists()
    assert list((tmp_path / "kept").rglob("model.onnx"))


def check_whole_run(project: Project, done: Done) -> None:
    """Assert that everything is there, once, in a single MLflow run."""
    assert sorted(done.nodes) == sorted(node.name for node in PIPELINE.nodes)
    (run,) = project.mlflow_runs("small")
    assert run.info.status == "FINISHED"
    models = project.logged_models(run)
    assert set(models) == set(SMALL_CANDIDATES)
    assert {model.source_run_id for model in models.values()} == {run.info.run_id}
    for training in ("float", "half"):
        assert len(history(project, run, f"{training}.validation_accuracy")) == 2
    assert project.artifacts(run, "contract") >= {"index.html", "report.json"}
    assert "verdict_plot.png" in project.artifacts(run, "verdict")
    champion = project.champion("small")
    assert (project.champion_version("small"), champion.run_id) == ("1", run.info.run_id)
    assert run.data.tags["winner"] == champion.tags["candidate"]


def test_registry_and_catalog_commands(project: Project) -> None:
    listed = project.kedro("registry", "list").succeeded().text
    assert {"- __default__", "- digits", "- fashion_mnist", "- small"} <= set(listed.splitlines())
    described = project.kedro("registry", "describe", "small").succeeded().text
    assert all(f"- {node.name} ({node.func.__name__})" in described for node in PIPELINE.nodes)
    assert "{recipe}.{candidate}.onnx" in project.kedro("catalog", "list-patterns").succeeded().text
    datasets = project.kedro("catalog", "describe-datasets", "--pipeline", "small").succeeded().text
    assert "thresher.datasets.candidate.CandidateOnnx" in datasets
    assert "small.half_int8.onnx" in datasets
    resolved = project.kedro("catalog", "resolve-patterns", "--pipeline", "small").succeeded().text
    assert f"{project.folder}/data/06_models/small/half_int8/model.onnx" in resolved


def test_viz_shows_every_candidate_as_its_own_branch(project: Project) -> None:
    project.kedro("viz", "build").succeeded()
    shown: dict[str, Any] = json.loads((project.folder / "build" / "api" / "pipelines" / "small").read_text())
    branches: dict[str, set[str]] = {}
    for node in shown["nodes"]:
        if node["type"] == "task":
            branches.setdefault((node["modular_pipelines"] or [""])[-1], set()).add(node["name"])
    assert set(branches) == {"", *SMALL_CANDIDATES}
    assert len(branches["half"]) == 4
    assert {tag["id"] for tag in shown["tags"]} >= {"half", "int8", "half_int8", "contract", "train", "package"}
