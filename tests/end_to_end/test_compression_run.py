"""A search to a budget, distillation and candidates that fail, in a whole run: the others go on."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import Any

import pytest
from kedro_project import TINY, Done, NewProject, Project

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

SEARCHED = {"budget": {"size_bytes": 5000}, "trials": 5, "finalists": 2, "finetune": {"epochs": 2, "distill": {}}}
PRUNE = {"kind": "prune_channels", "ratio": 0.5}
COMPRESSED: dict[str, Any] = {
    **TINY,
    "candidates": {
        "best": {"search": SEARCHED},
        "empty": [{"kind": "prune_channels", "ratio": 0.99}],
        "after_empty": {"from": "empty", "steps": [{"kind": "quantize_dynamic"}]},
        "taught": [PRUNE, {"kind": "finetune", "epochs": 1, "distill": {"from": "best"}}],
    },
    "selection": {
        **TINY["selection"],
        "slices": {"by": ["label", "pixel_mean"], "accuracy_drop": {"at_most": 1}, "min_samples": 20},
    },
}
EMPTY = "prune_channels would leave fc1 none of its 16 channels"


@dataclass(frozen=True)
class Compressed:
    project: Project
    done: Done

    def read(self, name: str) -> Any:
        return self.project.read_json(name)

    def judged(self, candidate: str) -> Any:
        verdict = self.read("08_reporting/small/verdict.json")
        (found,) = [judged for judged in verdict["candidates"] if judged["candidate"] == candidate]
        return found


@pytest.fixture(scope="module")
def compressed(new_project: NewProject) -> Compressed:
    project = new_project("compressed")
    project.write_recipe("small", COMPRESSED)
    return Compressed(project, project.run().succeeded())


def test_the_chain_that_was_found_keeps_the_budget_and_wins(compressed: Compressed) -> None:
    search = compressed.read("08_reporting/small/best/budget_search.json")
    assert (len(search["trials"]), search["keeps_budget"]) == (5, True)
    winner = search["finalists"][search["best"]]
    found = compressed.read("06_models/small/best/found_candidate.json")
    assert found["steps"] == winner["steps"]
    size = (compressed.project.folder / "data/06_models/small/best/model.onnx").stat().st_size
    assert size == winner["costs"]["size_bytes"] <= 5000
    assert compressed.judged("best")["qualifies"]


def test_a_candidate_that_cannot_be_made_has_its_reason_and_the_others_go_on(compressed: Compressed) -> None:
    assert compressed.judged("empty")["reason"].startswith(EMPTY)
    assert compressed.judged("after_empty")["reason"].startswith(f"empty failed: {EMPTY}")
    assert compressed.judged("empty")["metrics"] == compressed.judged("after_empty")["metrics"] == {}
    assert compressed.judged("taught")["metrics"]["accuracy"]["value"] > 0.5
    assert re.findall(r"^✗ (\S+)", compressed.done.text, re.MULTILINE) == ["empty.compress_network"]
    passed_on = re.findall(r"^– (\S+)", compressed.done.text, re.MULTILINE)
    assert {name.partition(".")[0] for name in passed_on} == {"empty", "after_empty"}
    page = (compressed.project.folder / "data/08_reporting/small/report.html").read_text()
    assert EMPTY in page and "Searches" in page and "Sensitivity per layer" in page


def test_parts_of_the_test_split_are_judged_apart(compressed: Compressed) -> None:
    slices = compressed.read("08_reporting/small/slices.json")["candidates"]
    assert set(slices) == {"best", "taught"}
    columns = [part["column"] for part in slices["best"]]
    assert (columns.count("label"), columns.count("pixel_mean")) == (10, 4)
    drops = [part["loss"]["upper"] for part in slices["best"]]
    assert drops == sorted(drops, reverse=True)
    by_label = [part for part in slices["best"] if part["column"] == "label"]
    total = sum(part["num_samples"] for part in by_label)
    right = sum(part["figure"] * part["num_samples"] for part in by_label)
    assert right / total == pytest.approx(compressed.judged("best")["metrics"]["accuracy"]["value"])
    assert "Parts of the test split" in (compressed.project.folder / "data/08_reporting/small/report.html").read_text()


def test_trials_figures_and_failures_are_in_mlflow(compressed: Compressed) -> None:
    runs = compressed.project.mlflow_runs("small")
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    nested = {run.info.run_name: run for run in runs if run is not parent}
    assert {f"best trial {number}" for number in range(6)} <= set(nested)
    assert {"metric", "loss", "size_bytes", "macs"} <= set(nested["best trial 0"].data.metrics)
    assert {"slices.json", "verdict.json"} <= compressed.project.artifacts(parent, "verdict")
    assert {"empty_failed.txt", "best_search.json", "best_budget_plot.png", "float_sensitivity.json"} <= (
        compressed.project.artifacts(parent, "compression")
    )
    assert not any(name.startswith("trial") for name in parent.data.metrics)


def test_unchanged_nothing_runs_again_and_failures_are_taken(compressed: Compressed) -> None:
    compressed.project.run().succeeded().ran_nothing()


def test_a_killed_search_goes_on_with_the_next_trial(new_project: NewProject, compressed: Compressed) -> None:
    project = new_project("killed_search")
    project.write_recipe("small", {**COMPRESSED, "candidates": {"best": {"search": SEARCHED}}})
    project.interrupt(signal.SIGKILL, lambda text: "best trial 3/5" in text)
    project.run("--to-nodes", "best.search_chain").succeeded()
    search = project.read_json("08_reporting/small/best/budget_search.json")
    undisturbed = compressed.read("08_reporting/small/best/budget_search.json")
    assert [trial["steps"] for trial in search["trials"]] == [trial["steps"] for trial in undisturbed["trials"]]
    assert search["finalists"][search["best"]]["steps"] == undisturbed["finalists"][undisturbed["best"]]["steps"]


def test_nobody_left_but_float_is_no_failure_of_the_run(new_project: NewProject) -> None:
    project = new_project("all_failed")
    impossible = {**SEARCHED, "budget": {"size_bytes": 9}, "trials": 2}
    project.write_recipe("small", {**COMPRESSED, "candidates": {"best": {"search": impossible}}})
    done = project.run().succeeded()
    assert "best failed: none of 2 chains keeps the budget; the least was size_bytes" in done.text
    assert project.read_json("08_reporting/small/verdict.json")["winner"] == "float"
