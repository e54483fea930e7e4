"""A search and a range test in a whole run: what they find is trained, nested in MLflow, and survives being killed."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kedro_project import TINY, Done, NewProject, Project

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

TRIALS = 5
SPACE = {
    "training.optimizer": ["adam", {"kind": "sgd", "momentum": {"low": 0.5, "high": 0.95}}],
    "training.optimizer.lr": {"low": 0.0005, "high": 0.05, "log": True},
    "model.hidden": {"low": 8, "high": 32, "step": 8},
}
SEARCH: dict[str, Any] = {
    **TINY,
    "training": {**TINY["training"], "epochs": 3, "search": {"trials": TRIALS, "epochs": 2, "space": SPACE}},
    "candidates": {"half": [{"kind": "prune_channels", "ratio": 0.5}, {"kind": "finetune", "epochs": 1}]},
}
AUTO: dict[str, Any] = {
    **TINY,
    "training": {**TINY["training"], "optimizer": {"kind": "adam"}, "learning_rate": "auto"},
    "candidates": {},
    "selection": {"minimize": "size_bytes"},
}


@dataclass(frozen=True)
class Searched:
    project: Project
    done: Done

    def read(self, name: str) -> Any:
        return self.project.read_json(name)

    @property
    def weights(self) -> list[bytes]:
        models = self.project.folder / "data" / "06_models" / "small"
        return [(models / name / "network" / "weights.safetensors").read_bytes() for name in ("float", "half")]


@pytest.fixture(scope="module")
def searched(new_project: NewProject) -> Searched:
    project = new_project("searched")
    project.write_recipe("small", SEARCH)
    return Searched(project, project.run().succeeded())


def test_the_training_that_counts_uses_the_best_trial(searched: Searched) -> None:
    result = searched.read("08_reporting/small/search_result.json")
    assert len(result["trials"]) == TRIALS
    best = min((trial for trial in result["trials"] if trial["validation_loss"]), key=lambda t: t["validation_loss"])
    assert best["number"] == result["best"]
    training = searched.read("06_models/small/found_training.json")
    assert training["search"] is None and training["epochs"] == 3
    assert training["optimizer"]["lr"] == best["settings"]["training.optimizer.lr"]
    network = searched.read("06_models/small/float/network/network.json")
    assert network["model"]["hidden"] == best["settings"]["model.hidden"]
    assert len(searched.read("06_models/small/training_history.json")["epochs"]) == 3


def test_each_trial_is_a_run_nested_in_the_recipe_s(searched: Searched) -> None:
    project, result = searched.project, searched.read("08_reporting/small/search_result.json")
    runs = project.mlflow_runs("small")
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    nested = {run.info.run_name: run for run in runs if run.info.run_id != parent.info.run_id}
    assert set(nested) == {f"trial {number}" for number in range(TRIALS)}
    for trial in result["trials"]:
        run = nested[f"trial {trial['number']}"]
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert float(run.data.params["training.optimizer.lr"]) == trial["settings"]["training.optimizer.lr"]
        curve = project.client.get_metric_history(run.info.run_id, "validation_loss")
        assert [point.value for point in curve] == trial["validation_losses"]
    assert not any(name.startswith("trial") for name in parent.data.metrics)


def test_what_won_is_said_in_the_terminal_in_mlflow_and_in_the_model_card(searched: Searched) -> None:
    project, training = searched.project, searched.read("06_models/small/found_training.json")
    (parent,) = [run for run in project.mlflow_runs("small") if "mlflow.parentRunId" not in run.data.tags]
    assert project.artifacts(parent, "search") == {"search_plot.png", "trials.md", "result.json"}
    rate = f"{training['optimizer']['lr']:.3g}"
    (line,) = [line for line in searched.done.text.splitlines() if line.startswith("✓ search_training")]
    assert rate in line and training["optimizer"]["kind"] in line
    card = (project.folder / "data/08_reporting/small/model_card.md").read_text()
    assert rate in card and training["optimizer"]["kind"] in card


def test_unchanged_nothing_is_searched_again(searched: Searched) -> None:
    searched.project.run().succeeded().ran_nothing()


@pytest.mark.parametrize("moment", ["trial 3", "half: epoch"])
def test_killed_in_the_search_or_in_finetuning_it_goes_on_to_the_same_weights(
    new_project: NewProject, searched: Searched, moment: str
) -> None:
    project = new_project(f"killed in {moment}".replace(" ", "_").replace(":", ""))
    recipe = json.loads(json.dumps(SEARCH))
    recipe["training"]["checkpoint_seconds"] = 0.2
    project.write_recipe("small", recipe)
    killed = project.interrupt(signal.SIGKILL, lambda text: moment in text)
    assert killed.code == -signal.SIGKILL
    again = Searched(project, project.run("--to-nodes", "half.compress_network").succeeded())
    assert again.weights == searched.weights
    compared = ("settings", "state", "validation_losses")
    ours, theirs = (
        [{key: trial[key] for key in compared} for trial in one.read("08_reporting/small/search_result.json")["trials"]]
        for one in (again, searched)
    )
    assert ours == theirs


def test_a_range_test_finds_the_rate_and_shows_its_curve(new_project: NewProject, tmp_path: Path) -> None:
    project = new_project("range_test")
    project.write_recipe("small", AUTO)
    done = project.run("--to-nodes", "find_learning_rate").succeeded()
    found = project.read_json("06_models/small/found_training.json")
    test = project.read_json("08_reporting/small/range_test.json")
    assert found["optimizer"]["lr"] == test["learning_rate"] in test["rates"]
    assert 1e-5 < test["learning_rate"] < 1
    (run,) = project.mlflow_runs("small")
    assert "range_test_plot.png" in project.artifacts(run, "training")
    assert run.data.tags["learning_rate"] == f"{test['learning_rate']:.3g}"
    (line,) = [line for line in done.text.splitlines() if line.startswith("✓ find_learning_rate")]
    assert f"{test['learning_rate']:.3g}" in line
