"""`thresher predict` in a project: the registered champion, the entry of its test data, MLflow."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from helpers.registry_project import RegistryProject
from mlflow import MlflowClient
from new_data import make_champion, make_rows, rejected, write_rows

ENTRY = {"type": "thresher.readers.TableFile", "path": "data", "file": "x.csv", "label": "grade", "missing": ["?"]}


@pytest.fixture
def project(
    tmp_path: Path, own_mlflow: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> RegistryProject:
    folder = tmp_path / "project"
    folder.mkdir()
    project = RegistryProject(folder, f"sqlite:///{folder}/mlflow.db", capsys, monkeypatch)
    catalog = folder / "conf" / "base" / "catalog.yml"
    catalog.write_text(yaml.safe_dump(yaml.safe_load(catalog.read_text()) | {"new.train": ENTRY, "new.test": ENTRY}))
    data = {"modality": "tabular", "train": "new.train", "test": "new.test"}
    project.write_recipe(data=data, model={"kind": "mlp"})
    return project


def test_new_data_is_scored_by_the_champion_and_logged(project: RegistryProject, tmp_path: Path) -> None:
    data, out = tmp_path / "new.jsonl", tmp_path / "out.csv"
    bundle = make_champion("tabular")
    project.crown(replace(bundle, info=bundle.info.model_copy(update={"model_version": ""})))
    refused = project.refused("predict", "small", "--in", str(data), "--out", str(out))
    assert "no such file or folder. Fix: correct it" in refused
    rows = [{**row, "grade": "low"} for row in make_rows(300)]
    write_rows(data, [*rows, {"age": 3, "job": "pilot", "hours": 1.0, "grade": "low"}])
    (project.folder / "pipelines" / "other.yml").write_text((project.folder / "pipelines" / "small.yml").read_text())
    assert "Run it first: thresher run other" in project.refused(
        "predict", "other", "--in", str(data), "--out", "x.csv"
    )
    said = project.done("predict", "small", "--in", str(data), "--out", str(out))
    assert "301 samples: 300 answered, 1 rejected 1x job: 'pilot' was not in the training data" in said
    assert "Drift against training (PSI): " in said
    assert "Metrics (of 300 of 300 labelled samples): accuracy" in said
    assert list(rejected(out)) == [301]
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.csv", "out.rejected.jsonl", "out.report.json"]
    report = json.loads((tmp_path / "out.report.json").read_text())
    client = MlflowClient(project.tracking_uri)
    experiment = client.get_experiment_by_name("small.predictions")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["num_rejected"] == 1
    assert run.data.metrics["accuracy"] == report["metrics"]["accuracy"]
    assert run.data.metrics["drift.hours"] == report["input_drift"]["hours"]
    assert run.data.params["model_version"] == report["model_version"] == "1"
    assert "is there already" in project.refused("predict", "small", "--in", str(data), "--out", str(out))
    assert "Did you mean 'small'?" in project.refused("predict", "smal", "--in", str(data), "--out", f"{out}.csv")
    target = tmp_path / "taken_out"
    assert f"{target} has version 1 of small" in project.done("export", "small", str(target)).replace("\n", "")
    assert json.loads((target / "model.json").read_text())["model_version"] == "1"
    assert "is there already. Fix: name a new folder" in project.refused("export", "small", str(target))
    assert "no such folder. Fix: make it" in project.refused("export", "small", str(target / "no" / "such"))


def test_a_command_of_half_the_options_is_refused(project: RegistryProject) -> None:
    for options in (("--in", "x.csv"), ("--out", "x.csv"), ("x.png", "--in", "x.csv"), ("x.png", "--explain"), ()):
        code, said = project.call("predict", "small", *options)
        assert (code, "both --in and --out" in said) == (2, True)
