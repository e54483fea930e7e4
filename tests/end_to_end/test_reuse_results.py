"""What is reused is part of the new run all the same: metrics, models, verdict, champion, Bento; one story."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kedro_project import EVERY_NODE, TINY, Done, NewProject, Project
from mlflow.entities import Run

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

CURVES = ("loss", "epoch_loss", "validation_loss", "validation_accuracy")
CANDIDATES = {"float", "half", "int8"}
# Served otherwise, the same winner is another version.
SERVED_OTHERWISE = ("--params", "small.selection.minimize=macs,small.serving.max_batch_size=8")


@dataclass(frozen=True)
class Unchanged:
    """A whole run, the same again, and the MLflow runs of both."""

    project: Project
    first: Run
    again: Run
    done: Done

    def curve(self, run: Run, metric: str) -> list[tuple[int, float]]:
        history = self.project.client.get_metric_history(run.info.run_id, metric)
        return [(point.step, point.value) for point in history]


@pytest.fixture(scope="module")
def project(new_project: NewProject) -> Project:
    project = new_project("results")
    project.write_recipe("small", TINY)
    return project


@pytest.fixture(scope="module")
def unchanged(project: Project) -> Unchanged:
    project.run().succeeded()
    done = project.run().succeeded()
    again, first = project.mlflow_runs("small")
    return Unchanged(project, first, again, done)


def metrics_of(run: Run) -> dict[str, float]:
    return {name: value for name, value in run.data.metrics.items() if not name.startswith("system/")}


def test_an_unchanged_recipe_runs_nothing(unchanged: Unchanged) -> None:
    unchanged.done.ran()
    assert unchanged.again.info.status == "FINISHED"


def test_the_plan_names_the_run_its_date_and_the_machine_that_was_measured_on(unchanged: Unchanged) -> None:
    tags = unchanged.first.data.tags
    ((why, nodes),) = unchanged.done.planned("reused").items()
    assert f"from run {unchanged.first.info.run_id[:8]} of 20" in why
    assert why.endswith(f"timed on {tags['machine.processor']}, {tags['machine.cores']} cores")
    assert nodes == [EVERY_NODE]


def test_the_new_run_has_the_same_metrics(unchanged: Unchanged) -> None:
    assert metrics_of(unchanged.again) == metrics_of(unchanged.first)
    assert {"winner.size_bytes", "half.accuracy", "float.latency_ms_p50"} <= set(metrics_of(unchanged.again))


def test_the_new_run_has_the_same_training_curves(unchanged: Unchanged) -> None:
    for metric in (f"{training}.{curve}" for training in ("float", "half") for curve in CURVES):
        was = unchanged.curve(unchanged.first, metric)
        assert was
        assert unchanged.curve(unchanged.again, metric) == was


def test_the_new_run_links_the_same_models(unchanged: Unchanged) -> None:
    first, again = (unchanged.project.logged_models(run) for run in (unchanged.first, unchanged.again))
    assert set(again) == CANDIDATES
    assert {name: model.model_id for name, model in again.items()} == {
        name: model.model_id for name, model in first.items()
    }
    for name, model in again.items():
        assert model.source_run_id == unchanged.first.info.run_id
        assert measured(model, unchanged.again) == measured(model, unchanged.first)
        assert measured(model, unchanged.again)["size_bytes"] == metrics_of(unchanged.first)[f"{name}.size_bytes"]


def measured(model: Any, run: Run) -> dict[str, float]:
    """Return the figures of a logged model that a run has linked to it."""
    return {metric.key: metric.value for metric in model.metrics if metric.run_id == run.info.run_id}


def test_the_new_run_has_contract_report_verdict_and_data(unchanged: Unchanged) -> None:
    project = unchanged.project
    for folder in ("", "contract", "verdict", "report"):
        assert project.artifacts(unchanged.again, folder) == project.artifacts(unchanged.first, folder)
    assert project.artifacts(unchanged.again, "") >= {"plan.txt", "recipe.json", "contract", "verdict"}
    names = {"verdict.json", "verdict.md", "verdict_plot.png", "model_card.md"}
    assert project.artifacts(unchanged.again, "verdict") == names
    assert project.artifacts(unchanged.again, "report") == {"report.html"}
    assert len(digests(unchanged.again)) == 2
    assert digests(unchanged.again) == digests(unchanged.first)


def digests(run: Run) -> set[str]:
    return {one.dataset.digest for one in run.inputs.dataset_inputs}


def test_the_new_run_has_the_same_outcome_in_its_tags(unchanged: Unchanged) -> None:
    for tag in ("contract", "winner", "challenge", "bento", "data_hash", "mlflow.runName"):
        assert unchanged.again.data.tags[tag] == unchanged.first.data.tags[tag]


def test_the_new_run_leads_to_the_run_that_made_its_results(unchanged: Unchanged) -> None:
    first = unchanged.first.info
    tags = unchanged.again.data.tags
    assert tags["reused_from"] == first.run_id
    note = tags["mlflow.note.content"]
    assert note.startswith("# small")  # the model card
    assert f"(#/experiments/{first.experiment_id}/runs/{first.run_id}): " in note
    assert "train_float" in note[note.index("Reused from earlier runs") :]
    assert "reused_from" not in unchanged.first.data.tags


def test_the_plan_is_an_artifact_of_the_run(unchanged: Unchanged) -> None:
    file = Path(unchanged.project.client.download_artifacts(unchanged.again.info.run_id, "plan.txt"))
    assert file.read_text().strip() in unchanged.done.text


def test_an_unchanged_run_registers_no_champion_and_builds_no_bento(unchanged: Unchanged) -> None:
    project = unchanged.project
    assert len(project.client.search_model_versions("name = 'small'")) == 1
    assert project.champion("small").run_id == unchanged.first.info.run_id
    (bento,) = project.bentos("small")
    assert unchanged.again.data.tags["bento"] == f"small:{bento.name}"


@pytest.fixture(scope="module")
def partly(project: Project, unchanged: Unchanged) -> Done:
    """Only what is minimized changes, and how the champion is served: no candidate is touched."""
    return project.run(*SERVED_OTHERWISE).succeeded()


def test_a_run_of_the_verdict_alone_is_complete_too(project: Project, unchanged: Unchanged, partly: Done) -> None:
    package = ["challenge_champion", "crown_champion", "build_champion_bento"]
    partly.ran("judge_candidates", "draw_verdict", "write_reports", *package)
    run = project.mlflow_runs("small")[0]
    assert metrics_of(run).keys() == metrics_of(unchanged.first).keys()
    assert {model.source_run_id for model in project.logged_models(run).values()} == {unchanged.first.info.run_id}
    assert set(project.logged_models(run)) == CANDIDATES
    assert run.data.tags["reused_from"] == unchanged.first.info.run_id
    assert project.artifacts(run, "contract") == project.artifacts(unchanged.first, "contract")
    # The next version is the same model, served otherwise, and that leads to the run that made it.
    assert project.champion_version("small") == "2"
    assert project.champion("small").run_id == unchanged.first.info.run_id


@pytest.fixture(scope="module")
def back_to_the_first(project: Project, partly: Done) -> Done:
    project.client.set_registered_model_alias("small", "champion", "1")
    return project.run(*SERVED_OTHERWISE).succeeded()


def test_an_alias_moved_by_hand_is_challenged_again(project: Project, back_to_the_first: Done) -> None:
    back_to_the_first.ran("challenge_champion", "crown_champion")  # the second version again: its Bento is there
    assert "reigning_champion changed" in back_to_the_first.planned("run")
    assert project.champion_version("small") == "2"


@pytest.fixture(scope="module")
def without_bento(project: Project, back_to_the_first: Done) -> Done:
    tag = (project.folder / "data" / "08_reporting" / "small" / "bento.txt").read_text()
    (bento,) = [bento for bento in project.bentos("small") if tag == f"small:{bento.name}"]
    shutil.rmtree(bento)
    return project.run(*SERVED_OTHERWISE).succeeded()


def test_a_bento_that_is_gone_is_built_again_and_nothing_else(project: Project, without_bento: Done) -> None:
    without_bento.ran("build_champion_bento")
    assert without_bento.planned("run") == {"output bento deleted": ["build_champion_bento"]}
    tag = (project.folder / "data" / "08_reporting" / "small" / "bento.txt").read_text()
    assert tag.partition(":")[2] in {bento.name for bento in project.bentos("small")}
    assert project.champion_version("small") == "2"


@pytest.fixture(scope="module")
def nobody(project: Project, without_bento: Done) -> tuple[Done, Done]:
    """Two runs of a recipe in which no candidate qualifies."""
    impossible = ("--params", "small.selection.require.size_bytes.at_most=1")
    return project.run(*impossible).failed(), project.run(*impossible).failed()


def test_a_recipe_in_which_nobody_qualifies_fails_again(project: Project, nobody: tuple[Done, Done]) -> None:
    first, again = nobody
    assert first.nodes[:2] == ["compare_baseline", "judge_candidates"]
    assert "judge_candidates" in again.planned_nodes("reused") - set(again.nodes)
    for done in nobody:
        assert "no candidate meets selection.require; the registry is unchanged" in done.text
    run = project.mlflow_runs("small")[0]
    assert (run.info.status, run.data.tags["winner"]) == ("FAILED", "none")
    assert {"verdict.json", "verdict.md"} <= project.artifacts(run, "verdict")
    assert set(project.logged_models(run)) == CANDIDATES
    assert project.champion_version("small") == "2"
