"""Test sets of other and of corrupted samples through a whole run; one more of them trains and times nothing again."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from kedro_project import TINY, Done, NewProject, Project, idx

from thresher.readers import BundledDigits

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

CANDIDATES = ("float", "half", "int8")
RECIPE: dict[str, Any] = {
    **TINY,
    "data": {**TINY["data"], "tests": {"dark": "own.dark"}},
    "selection": {**TINY["selection"], "require_on": {"pooled": {"accuracy_drop": {"at_most": 0.9}}}},
}


def write_dark_digits(project: Project, shift: int) -> None:
    """Write the test digits, each value divided by two and made larger by ``shift``, and name them own.dark."""
    samples = BundledDigits(split="test").load()
    folder = project.folder / "data" / "01_raw" / "own"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "images").write_bytes(idx(samples.inputs[:, 0] // 2 + shift))
    (folder / "labels").write_bytes(idx(samples.labels.astype("uint8")))
    entry = {"type": "thresher.readers.IdxImages", "path": "data/01_raw/own", "images": "images", "labels": "labels"}
    project.write_configuration("base", "catalog_own", {"own.dark": {**entry, "class_names": samples.class_names}})


@pytest.fixture(scope="module")
def project(new_project: NewProject) -> Project:
    project = new_project("sets")
    project.write_recipe("small", RECIPE)
    write_dark_digits(project, 1)
    return project


@pytest.fixture(scope="module")
def whole(project: Project) -> Done:
    return project.run().succeeded()


def test_all_candidates_are_judged_on_each_set_and_on_all_together(project: Project, whole: Done) -> None:
    (run,) = project.mlflow_runs("small")
    accuracies = [run.data.metrics[f"half.{name}accuracy"] for name in ("", "dark.", "pooled.")]
    assert accuracies[2] == pytest.approx((accuracies[0] + accuracies[1]) / 2)  # as many samples each
    reports = project.client.list_artifacts(run.info.run_id, "contract/dark")
    assert {file.path for file in reports} >= {"contract/dark/report.json", "contract/dark/index.html"}
    page = (project.folder / "data/08_reporting/small/report.html").read_text()
    assert "dark: own.dark; pooled: test, dark" in page


def test_one_more_set_trains_and_times_nothing_again(project: Project, whole: Done) -> None:
    more = copy.deepcopy(RECIPE)
    more["data"]["corruptions"] = {"noise": {"kind": "gaussian_noise", "std": 0.5}}
    more["selection"]["require_on"]["noise"] = {"accuracy": {"at_least": 0.01}}
    project.write_recipe("small", more)
    planned = project.plan().planned_nodes("run", "maybe")
    assert planned >= {"corrupt_test_noise", "compare_test_sets", *(f"{name}.predict_noise" for name in CANDIDATES)}
    assert not planned & {f"{name}.predict_dark" for name in CANDIDATES}
    assert not planned & {"train_float", "half.compress_network", "half.evaluate_candidate", "float.evaluate_float"}
    ran = set(project.run().succeeded().nodes)
    assert ran >= {"corrupt_test_noise", "write_reports"} and ran <= planned
    page = (project.folder / "data/08_reporting/small/report.html").read_text()
    assert page.count('src="data:image/png;base64,') == 12


def test_a_set_that_breaks_the_contract_stops_before_the_training(project: Project, whole: Done) -> None:
    write_dark_digits(project, 0)
    strict = copy.deepcopy(RECIPE)
    strict["data"]["contract"] = [{"expect_column_values_to_be_between": {"column": "pixel_mean", "min_value": 30}}]
    project.write_recipe("small", strict)
    done = project.run().failed()
    assert "With data.tests.dark as test, the data breaks its contract" in done.text
    assert "train_float" not in done.nodes and "float.predict_dark" not in done.nodes
