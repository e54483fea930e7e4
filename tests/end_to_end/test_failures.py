"""What goes wrong is said in words, with exit code 1, leaves nothing half-done, and is there in MLflow."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
from kedro_project import SMALL, Done, NewProject, Project, idx

from thresher.readers import BundledDigits

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

# A data set as a project can have of its own: anything that loads Samples.
UNLABELLED = '''
from kedro.io import AbstractDataset
from thresher.readers import BundledDigits
from thresher.modalities.samples import Samples

class UnlabelledDigits(AbstractDataset):
    """Digits of which the first three have no label."""

    def load(self):
        samples = BundledDigits(split="train").load()
        labels = samples.labels.copy()
        labels[:3] = -1
        return Samples(samples.inputs, labels, samples.class_names)

    def save(self, data):
        raise NotImplementedError

    def _describe(self):
        return {}
'''


@pytest.fixture(scope="module")
def project(new_project: NewProject) -> Project:
    return new_project("failures")


def write_leaking_test_set(folder: Path) -> None:
    """Write the test split as IDX files, with five samples of train in it and without the class 9."""
    folder.mkdir(parents=True)
    train, test = BundledDigits(split="train").load(), BundledDigits(split="test").load()
    kept = test.take(test.labels != 9)
    leaked = train.take(np.flatnonzero(train.labels != 9)[10:15])
    images = np.concatenate([kept.inputs, leaked.inputs])[:, 0]
    labels = np.concatenate([kept.labels, leaked.labels]).astype(np.uint8)
    (folder / "images.gz").write_bytes(gzip.compress(idx(images)))
    (folder / "labels.gz").write_bytes(gzip.compress(idx(labels)))


@pytest.fixture(scope="module")
def broken_contract(project: Project) -> Done:
    write_leaking_test_set(project.folder / "data" / "01_raw" / "bad")
    (project.folder / "src" / "unlabelled.py").write_text(UNLABELLED)
    leaking = {
        "type": "thresher.readers.IdxImages",
        "path": "data/01_raw/bad",
        "images": "images.gz",
        "labels": "labels.gz",
        "class_names": list("0123456789"),
    }
    entries = {"bad.train": {"type": "unlabelled.UnlabelledDigits"}, "bad.test": leaking}
    project.write_configuration("local", "catalog", entries)
    contract = [
        {"expect_column_values_to_be_in_set": {"column": "height", "value_set": [28]}},
        {"expect_table_row_count_to_be_between": {"min_value": 10}},
    ]
    data = {"modality": "image", "train": "bad.train", "test": "bad.test", "contract": contract}
    project.write_recipe("bad_data", SMALL | {"data": data})
    return project.kedro("run", "--pipeline", "bad_data").failed()


def test_broken_contract_lists_what_failed_with_counts_and_examples(broken_contract: Done) -> None:
    num_samples = len(BundledDigits(split="train").load()) + num_test_samples()
    text = broken_contract.text
    assert f"The data breaks its contract: 4 of 7 expectations failed on {num_samples:,} samples" in text
    heights = text[text.index("expect_column_values_to_be_in_set: {column: height") :]
    assert f"{num_samples:,} of {num_samples:,} samples (100 %) break it." in heights
    assert "For example 8 at train[0], 8 at train[1]" in heights
    labels = text[text.index("expect_column_values_to_not_be_null: {column: label} (built in)") :]
    assert f"3 of {num_samples:,} samples" in labels
    assert "train[0]" in labels
    leak = text[text.index("expect_column_values_to_be_null: {column: same_content_in_train") :]
    assert f"5 of {num_test_samples():,} samples are in train as well." in leak
    assert re.search(rf"train\[\d+\] at test\[{num_test_samples() - 5}\]", leak)
    assert "Missing: 9." in text
    assert text.count("The data breaks its contract") == 1
    assert "--from-nodes" not in text
    assert "Fix: label these samples or remove them." in text


def num_test_samples() -> int:
    return int((BundledDigits(split="test").load().labels != 9).sum()) + 5


def test_broken_contract_stops_before_training(project: Project, broken_contract: Done) -> None:
    # Kedro starts whatever has its inputs; the contract itself stops the first node that would use the data.
    assert set(broken_contract.nodes) == {"fingerprint_data", "describe_samples", "check_contract"}
    assert "Full report: contract/index.html among the artifacts of the MLflow run" in broken_contract.text
    assert not (project.folder / "data" / "06_models").exists()
    assert not (project.folder / "data" / "05_model_input").exists()


def test_broken_contract_is_in_mlflow_all_the_same(project: Project, broken_contract: Done) -> None:
    (run,) = project.mlflow_runs("bad_data")
    assert run.info.status == "FAILED"
    assert run.data.tags["contract"] == "broken"
    assert run.data.tags["error"].startswith("The data breaks its contract")
    assert [name for name in run.data.metrics if not name.startswith("system/")] == []
    assert project.artifacts(run, "contract") == {"index.html", "report.json"}
    report = json.loads(Path(project.client.download_artifacts(run.info.run_id, "contract/report.json")).read_text())
    assert report["success"] is False
    assert sum(not result["success"] for result in report["results"]) == 4
    assert len(run.inputs.dataset_inputs) == 2


def test_a_node_that_is_not_there_is_named_and_nothing_runs(project: Project) -> None:
    done = project.kedro("run", "--pipeline", "digits", "--from-nodes", "no_such_node").failed()
    assert "Recipe digits: Pipeline does not contain nodes named ['no_such_node']" in done.text
    assert "`kedro registry describe digits` lists its nodes." in done.text and "Traceback" not in done.text
    assert done.nodes == []


def test_missing_raw_data_names_the_command_that_fetches_it(project: Project) -> None:
    done = project.kedro("run", "--pipeline", "fashion_mnist").failed()
    assert "train-images-idx3-ubyte.gz: no such file or folder" in done.text
    assert "Fix: run 'thresher fetch fashion_mnist'." in done.text
    # Found before anything runs, as `thresher check` finds it.
    assert done.nodes == []
    assert project.client.get_experiment_by_name("fashion_mnist") is None


def test_broken_recipe_says_all_at_once(project: Project) -> None:
    done = project.kedro("run", "--pipeline", "broken").failed()
    assert "Recipe broken: 4 problems" in done.text
    for problem in (
        "data.modality: 'imge' is not allowed",
        "Did you mean 'image'?",
        "model.kind: unknown kind 'cn'",
        "Did you mean 'cnn'?",
        "training.epochs: 0 given",
        "candidates.half.from: there is no candidate 'haf'",
    ):
        assert problem in done.text
    assert project.client.get_experiment_by_name("broken") is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--pipeline", "smal"), "There is no recipe 'smal' in pipelines/. Did you mean 'small'?"),
        (("--params", "digts.training.epochs=1"), "Did you mean 'digits'?"),
        (("--pipeline", "small", "--params", "small.training.epoch=1"), "unknown key 'epoch'"),
        (("--env", "gpuu"), "Did you mean 'gpu'?"),
        (("--pipelines", "small,digits"), "One recipe a run: run them one after the other."),
    ],
)
def test_mistake_on_the_command_line(project: Project, arguments: tuple[str, ...], says: str) -> None:
    done = project.kedro("run", *arguments).failed()
    assert says in done.text
    assert done.nodes == []


def test_unreachable_server_is_named(project: Project) -> None:
    address = "http://127.0.0.1:1"
    done = project.run(MLFLOW_TRACKING_URI=address).failed()
    assert f"MLflow at {address}: it does not answer: nothing listens there. Start the server, or name" in done.text
    assert done.nodes == []
