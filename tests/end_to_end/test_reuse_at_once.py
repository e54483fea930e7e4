"""Two runs at once, and a run that is killed."""

from __future__ import annotations

import signal
from dataclasses import dataclass

import pytest
from kedro_project import EVERY_NODE, TINY, Done, NewProject, Project

from thresher.pipelines.build import build_pipeline
from thresher.recipe import Recipe

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

PIPELINE = build_pipeline("small", Recipe.model_validate(TINY))
TRAINING = ("--tags", "contract,train")
TRAINING_NODES = [node.name for node in PIPELINE.only_nodes_with_tags("contract", "train").nodes]
# Raw data that lets a run begin and go on only when the test says so.
GATED = '''
import time
from pathlib import Path
from thresher.readers import BundledDigits

class GatedDigits(BundledDigits):
    """Digits that are given out once the gate is open."""

    def load(self):
        while not Path("gate_is_open").exists():
            time.sleep(0.05)
        return super().load()
'''


@pytest.fixture(scope="module")
def gated(new_project: NewProject) -> Project:
    project = new_project("at_once")
    (project.folder / "src" / "gated.py").write_text(GATED)
    entries = {f"gated.{split}": {"type": "gated.GatedDigits", "split": split} for split in ("train", "test")}
    project.write_configuration("base", "catalog_gated", entries)
    project.write_recipe("small", TINY | {"data": {"modality": "image", "train": "gated.train", "test": "gated.test"}})
    return project


@dataclass(frozen=True)
class AtOnce:
    """One run that holds the recipe, one that would rather fail than wait, one that waits."""

    first: Done
    first_pid: int
    failing: Done
    waiting: Done


@pytest.fixture(scope="module")
def at_once(gated: Project) -> AtOnce:
    arguments = ("--pipeline", "small", *TRAINING)
    with gated.start("first", *arguments) as first:
        first.wait_until(lambda text: "Plan for small" in text)
        failing = gated.run(*TRAINING, "--if-running", "fail")
        with gated.start("waiting", *arguments) as waiting:
            waiting.wait_until(lambda text: "waiting: " in text)
            (gated.folder / "gate_is_open").touch()
            return AtOnce(first.end().succeeded(), first.process.pid, failing, waiting.end().succeeded())


def test_the_second_run_waits_and_then_takes_everything(at_once: AtOnce) -> None:
    at_once.first.ran(*TRAINING_NODES)
    assert f"waiting: small is being run by process {at_once.first_pid} on " in at_once.waiting.text
    at_once.waiting.ran()
    assert list(at_once.waiting.planned("reused").values()) == [[EVERY_NODE]]
    assert at_once.first.planned_nodes("run") == {EVERY_NODE}


def test_the_second_run_fails_in_words_where_that_is_asked_for(at_once: AtOnce) -> None:
    at_once.failing.failed().ran_nothing()
    assert f"Recipe small is being run by process {at_once.first_pid} on " in at_once.failing.text
    assert "leave out --if-running fail: then this run waits." in at_once.failing.text


def test_the_run_that_failed_at_once_has_no_mlflow_run(gated: Project, at_once: AtOnce) -> None:
    assert [run.info.status for run in gated.mlflow_runs("small")] == ["FINISHED", "FINISHED"]


def test_two_recipes_begin_at_the_same_moment_in_a_new_project(new_project: NewProject) -> None:
    project = new_project("side_by_side")
    recipe, names = TINY | {"candidates": {}}, ("mine", "yours")
    for name in names:
        project.write_recipe(name, recipe)
    assert not (project.folder / "mlflow.db").exists()
    with (
        project.start(names[0], "--pipeline", names[0]) as mine,
        project.start(names[1], "--pipeline", names[1]) as yours,
    ):
        done = [started.end().succeeded() for started in (mine, yours)]
    for name, whole in zip(names, done, strict=True):
        whole.ran(*(node.name for node in build_pipeline(name, Recipe.model_validate(recipe)).nodes))
        (run,) = project.mlflow_runs(name)
        assert run.info.status == "FINISHED"
        assert set(project.logged_models(run)) == {"float"}
        assert project.champion(name).run_id == run.info.run_id
        (bento,) = project.bentos(name)
        assert run.data.tags["bento"] == f"{name}:{bento.name}"


def test_after_a_run_that_was_killed_the_rest_runs(new_project: NewProject) -> None:
    project = new_project("killed")
    project.write_recipe("small", TINY)
    killed = project.interrupt(signal.SIGKILL, lambda text: "✓ float.export_network" in text)
    assert killed.code == -signal.SIGKILL
    again = project.run("--to-nodes", "judge_candidates").succeeded()
    finished = killed.nodes[: killed.nodes.index("float.export_network")]
    assert "train_float" in finished
    assert not set(finished) & set(again.nodes)
    # The line of a node comes before its outputs are saved: what was killed in between ran for nothing.
    made = set(killed.nodes) | set(again.nodes)
    assert made == {node.name for node in PIPELINE.to_nodes("judge_candidates").nodes}
    assert len(set(killed.nodes) & set(again.nodes)) <= 1
    project.run("--to-nodes", "judge_candidates").succeeded().ran()
    assert [run.info.status for run in project.mlflow_runs("small")] == ["FINISHED", "FINISHED", "KILLED"]
