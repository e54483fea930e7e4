"""Candidates are timed where Python, numpy and ONNX Runtime alone are, and judged by what came back."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from helpers.any_modality import CLASS_NAMES, make_encoder, make_samples
from helpers.registry_project import RegistryProject
from helpers.tiny_onnx import make_sum_onnx
from kedro.framework.project import pipelines
from mlflow import MlflowException

from thresher.caching.context import open_context
from thresher.caching.dependencies import taken_parameters
from thresher.caching.records import Dependencies, Record, Records
from thresher.candidate_failure import CandidateFailure
from thresher.datasets.champion import ChampionDataset
from thresher.evaluation import Measurement
from thresher.evaluation.decision import read_rule
from thresher.evaluation.evaluation import Contender, Evaluation, evaluate
from thresher.evaluation.exported import check_exported
from thresher.evaluation.runtime import CPU, open_session, predict
from thresher.machine import describe_machine
from thresher.modalities.decision import DECISION, DecisionRule, choose_classes
from thresher.modalities.fingerprint import DataFingerprint
from thresher.modalities.samples import EncodedSamples
from thresher.onnx_graph import with_note
from thresher.registry.champion_model import ChampionModel
from thresher.serving.core.bundle import BundleError
from thresher.serving.core.session import open_session as open_bundle
from thresher.target import script
from thresher.target.folder import TargetError, padding_of, read_setting, write_target
from thresher.target.measured import Home, Measured, evaluate_measured

ALONE = """
import runpy, sys

class Bar:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ("numpy", "onnxruntime", "calls", "runtime"):
            raise ImportError(f"{name} is not on this machine")

sys.meta_path.insert(0, Bar())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
SPINNING = "CPUExecutionProvider,session.intra_op.allow_spinning=0"
MEASUREMENT = Measurement(rounds=10, seconds=0.02, batch_sizes=(1, 4))


def run_alone(folder: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", ALONE, str(folder / "measure.py"), str(out)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder.parent, env={"PATH": ""})


def save_run(project: RegistryProject, models: dict[str, bytes], modality: str = "tabular") -> EncodedSamples:
    """Save what a run of the recipe would leave, with real figures; return the test samples."""
    encoder = make_encoder(modality)
    inputs = encoder.encode(make_samples(modality).inputs)
    labels = predict(open_session(models["float"], 1), inputs, encoder.model_input).argmax(1).astype(np.int64)
    samples = EncodedSamples(inputs, labels, CLASS_NAMES)
    answers = {name: predict(open_session(file, 1), inputs, encoder.model_input) for name, file in models.items()}
    contenders = {name: Contender(models[name], inputs, encoder.model_input, name, answers[name]) for name in models}
    shas = {"train_sha256": "a" * 64, "test_sha256": "b" * 64}
    sizes = {"num_train_samples": len(inputs), "num_test_samples": len(inputs)}
    made: dict[str, Any] = {
        "encoder": encoder,
        "test_samples": samples,
        "training_samples": samples,
        "fingerprint": DataFingerprint(**shas, **sizes, class_names=CLASS_NAMES, inputs="rows"),
        "exported_quality": check_exported(answers["float"], samples, 1.0),
    }
    for name, one in contenders.items():
        figures = evaluate(one, contenders["float"], labels, MEASUREMENT, describe_machine(), CLASS_NAMES)
        made |= {f"{name}.onnx": models[name], f"{name}.predictions": answers[name], f"{name}.evaluation": figures}
    with open_context(project.folder, None) as context:
        for name, value in made.items():
            context.catalog.save(f"small.{name}", value)
    return samples


@pytest.fixture
def project(
    tmp_path: Path, own_mlflow: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> RegistryProject:
    folder = tmp_path / "project"
    folder.mkdir()
    project = RegistryProject(folder, f"sqlite:///{folder}/mlflow.db", capsys, monkeypatch)
    entry = {"type": "thresher.readers.TableFile", "path": "data", "file": "x.csv", "label": "grade"}
    catalog = folder / "conf" / "base" / "catalog.yml"
    catalog.write_text(yaml.safe_dump(yaml.safe_load(catalog.read_text()) | {"new.train": entry, "new.test": entry}))
    project.write_recipe(
        data={"modality": "tabular", "train": "new.train", "test": "new.test"},
        model={"kind": "mlp"},
        candidates={"twin": [{"kind": "quantize_dynamic"}]},
        evaluation=MEASUREMENT.model_dump(mode="json", exclude={"metrics"}),
        serving={"example": "typical"},
        selection={"minimize": "log_loss", "allow_no_better_than_baseline": True},
    )
    return project


def make_models(twin: float = 4e-3) -> dict[str, bytes]:
    model_input = make_encoder("tabular").model_input
    return {name: make_sum_onnx(model_input, 3, scale) for name, scale in (("float", 1e-3), ("twin", twin))}


def test_candidates_are_timed_and_judged_elsewhere(project: RegistryProject, tmp_path: Path) -> None:
    samples = save_run(project, make_models())
    archive, out = tmp_path / "there.tar.gz", tmp_path / "measured.json"
    tries = ("--try", SPINNING, "--try", "NoSuchExecutionProvider")
    said = project.done("measure", "small", str(archive), *tries)
    assert "2 models, 60 samples. Copy it to the machine that will serve" in said
    assert "is there already" in project.refused("measure", "small", str(archive))
    again = ("measure", "small", str(tmp_path / "again"), "--try", CPU)
    assert "two settings would be called 'CPU'" in project.refused(*again)
    with tarfile.open(archive) as content:
        content.extractall(tmp_path, filter="data")
    done = run_alone(tmp_path / "there", out)
    assert done.returncode == 0, done.stderr
    assert "0 of 60 answers differ, at most by 0" in done.stdout and "thresher judge small" in done.stdout
    said = project.done("judge", "small", "--measured", str(out))
    assert "Winner there: twin" in said and not re.search(r"@\S*…", said)
    (folder,) = (project.folder / "data/08_reporting/small/measured").iterdir()
    verdict = json.loads((folder / "verdict.json").read_text())
    names = ["float", "twin", "float@CPU,allow_spinning=0", "twin@CPU,allow_spinning=0"]
    missing = [f"{name}@NoSuch" for name in names[:2]]
    assert [one["candidate"] for one in verdict["candidates"]] == names + missing
    reasons = {one["candidate"]: one["reason"] for one in verdict["candidates"]}
    assert "NoSuchExecutionProvider is not in this build of ONNX Runtime" in reasons[missing[0]]
    figures = {one["candidate"]: one["metrics"] for one in verdict["candidates"]}
    for name in names:
        assert figures[name]["latency_ms_p50_batch4"]["value"] > 0 and figures[name]["peak_memory_bytes"]["value"] > 0
    assert figures["twin"]["accuracy"]["value"] == 1.0 and verdict["num_test_samples"] == len(samples)
    assert "measured on" in (folder / "report.html").read_text()
    assert (folder / "model_card.md").exists()


def test_answers_that_differ_there_are_counted_and_judged(project: RegistryProject, tmp_path: Path) -> None:
    save_run(project, make_models())
    project.done("measure", "small", str(tmp_path / "there"))
    plan = json.loads((tmp_path / "there" / "plan.json").read_text())
    expected = tmp_path / "there" / "answers" / "twin.npy"
    np.save(expected, np.roll(np.load(expected), 1, axis=1))  # as if the answers here had been others
    plan["files"]["answers/twin.npy"] = script.hash_of(expected)
    (tmp_path / "there" / "plan.json").write_text(json.dumps(plan))
    record = next((project.folder / ".thresher" / "measure").iterdir())
    record.write_text(json.dumps(plan))
    assert run_alone(tmp_path / "there", tmp_path / "measured.json").returncode == 0
    said = project.done("judge", "small", "--measured", str(tmp_path / "measured.json"))
    assert "twin, CPUExecutionProvider: 60 answers differ from those here" in said


def test_the_setting_that_wins_there_travels_to_the_service(
    project: RegistryProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_run(project, make_models())
    project.done("measure", "small", str(tmp_path / "there"), "--try", SPINNING)
    assert run_alone(tmp_path / "there", tmp_path / "measured.json").returncode == 0
    plan = json.loads((tmp_path / "there" / "plan.json").read_text())
    document = json.loads((tmp_path / "measured.json").read_text())
    document["results"] = [one for one in document["results"] if (one["candidate"], one["setting"]) != ("twin", CPU)]
    document["signature"] = script.sign(document, plan["token"])  # so that no noise decides between the settings
    (tmp_path / "measured.json").write_text(json.dumps(document))
    asked = ("judge", "small", "--measured", str(tmp_path / "measured.json"), "--no-bento", "--crown")
    assert "--reason is empty" in project.refused(*asked, " ")
    with monkeypatch.context() as patch:  # as if it had been another machine's
        patch.setattr("onnxruntime.get_available_providers", lambda: ["OtherExecutionProvider"])
        with_bento = [each for each in asked if each != "--no-bento"]
        assert "it is to be computed by CPUExecutionProvider" in project.refused(*with_bento, "it serves there")
    with pytest.raises(MlflowException, match="not found"):  # nothing was registered
        assert not project.aliases
    said = project.done(*asked, "it serves there")
    assert "Winner there: twin@CPU,allow_spinning=0" in said and project.aliases == {"champion": "1"}
    assert f"Version 1 is champion of small, computed by {SPINNING}." in said
    champion = ChampionDataset("small").load()
    assert champion is not None
    assert (champion.info.candidate, champion.info.execution, champion.reason) == ("twin", SPINNING, "")
    assert champion.onnx_bytes == make_models()["twin"]
    open_bundle(champion)
    elsewhere = champion.info.model_copy(update={"execution": "NoSuchExecutionProvider"})
    with pytest.raises(BundleError, match="it is to be computed by NoSuchExecutionProvider, and there is"):
        open_bundle(replace(champion, info=elsewhere))
    project.done("export", "small", str(tmp_path / "export"))
    (sample,) = json.loads((tmp_path / "export" / "samples.json").read_text())
    command = [sys.executable, str(tmp_path / "export" / "predictor.py"), str(tmp_path / "export" / "samples.json")]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": ""})
    assert json.loads(done.stdout) == ChampionModel(champion).predict([sample])


def altered(document: dict[str, Any]) -> None:
    document["results"][0]["stolen"] = 0.5


def renamed(document: dict[str, Any]) -> None:
    document["machine"]["processor"] = "a faster one"


def foreign(document: dict[str, Any]) -> None:
    document["id"] = "0" * 16


def unsigned(document: dict[str, Any]) -> None:
    del document["signature"]


def signed_of_other_files(document: dict[str, Any]) -> None:
    document["files"]["models/twin.onnx"] = "0" * 64


CASES: list[tuple[Callable[[dict[str, Any]], None], str, bool]] = [
    (altered, "it was altered since it was measured", False),
    (renamed, "it was altered since it was measured", False),
    (foreign, "a folder that this project has not made", False),
    (unsigned, "not what measure.py of `thresher measure` writes", False),
    (signed_of_other_files, "measured with other files than those of the folder", True),
]


def test_what_is_altered_foreign_or_of_other_candidates_is_refused(project: RegistryProject, tmp_path: Path) -> None:
    save_run(project, make_models())
    project.done("measure", "small", str(tmp_path / "there"))
    folder, out = tmp_path / "there", tmp_path / "measured.json"
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / "models" / "twin.onnx").write_bytes(make_models(1.0)["twin"])
    done = run_alone(broken, tmp_path / "other.json")
    assert done.returncode == 1 and "models/twin.onnx is missing, or is not what it was" in done.stderr
    assert run_alone(folder, out).returncode == 0
    assert "is there already" in run_alone(folder, out).stderr
    document = json.loads(out.read_text())
    token = json.loads((folder / "plan.json").read_text())["token"]
    for change, says, is_signed in CASES:
        other = json.loads(out.read_text())
        change(other)
        if is_signed:  # by whoever has the folder
            other["signature"] = script.sign(other, token)
        (tmp_path / "changed.json").write_text(json.dumps(other))
        assert says in project.refused("judge", "small", "--measured", str(tmp_path / "changed.json")), change
    for content in (b"", b"\xff", b"[]", b"{"):
        (tmp_path / "changed.json").write_bytes(content)
        assert "Fix: " in project.refused("judge", "small", "--measured", str(tmp_path / "changed.json"))
    assert "no such file" in project.refused("judge", "small", "--measured", str(tmp_path / "no.json"))
    document["results"][1]["answers"] = "no numpy file"
    document["signature"] = script.sign(document, token)
    (tmp_path / "changed.json").write_text(json.dumps(document))
    assert "not whole" in project.refused("judge", "small", "--measured", str(tmp_path / "changed.json"))
    with open_context(project.folder, None) as context:
        context.catalog.save("small.twin.onnx", make_models(2.0)["twin"])
    said = project.refused("judge", "small", "--measured", str(out))
    assert "Candidate twin is another one since the folder was made. Fix: thresher measure small" in said


def test_a_candidate_that_failed_when_it_was_timed_is_left_out(project: RegistryProject, tmp_path: Path) -> None:
    save_run(project, make_models())
    with open_context(project.folder, None) as context:
        failed = CandidateFailure(candidate="twin", step="evaluate_candidate", reason="no memory")
        context.catalog.save("small.twin.evaluation", failed)
    said = project.done("measure", "small", str(tmp_path / "there.tgz"))
    assert "1 models, 60 samples" in said and "python there/measure.py" in said
    with tarfile.open(tmp_path / "there.tgz") as content:
        content.extractall(tmp_path, filter="data")
    assert run_alone(tmp_path / "there", tmp_path / "measured.json").returncode == 0
    assert "Winner there: float" in project.done("judge", "small", "--measured", str(tmp_path / "measured.json"))


def test_a_recipe_that_says_something_else_than_what_was_run_is_refused(project: RegistryProject) -> None:
    save_run(project, make_models())
    recipe = yaml.safe_load((project.folder / "pipelines" / "small.yml").read_text())
    with open_context(project.folder, None) as context:
        parameters = context.config_loader["parameters"]
        for node in pipelines["small"].nodes:  # as a run would leave it
            ran = Dependencies(code={}, parameters=taken_parameters(node, parameters), versions={}, machine={}, raw={})
            nothing: dict[str, Any] = {"inputs": {}, "outputs": {}, "run_id": "", "experiment_id": "", "made_at": ""}
            record = Record(node=node.name, dependencies=ran, seconds=0.0, machine={}, **nothing)
            Records(project.folder, "small").write(record)
    project.write_recipe(**recipe | {"selection": {"minimize": "size_bytes", "allow_no_better_than_baseline": True}})
    target = str(project.folder.parent / "there")
    assert "Copy it to the machine" in project.done("measure", "small", target)
    project.write_recipe(**recipe | {"training": {"epochs": 7}})
    for asked in (("measure", "small", f"{target}2"), ("judge", "small", "--measured", "measured.json")):
        said = project.refused(*asked)
        assert "Recipe small: training.epochs" in said and "-> 7 since it was run" in said


@pytest.mark.parametrize("modality", ["text", "series", "image"])
def test_samples_of_any_length_are_answered_and_decided_as_here(modality: str, tmp_path: Path) -> None:
    encoder = make_encoder(modality)
    inputs, plain = encoder.encode(make_samples(modality).inputs), make_sum_onnx(encoder.model_input, 3, 1e-5)
    answers = predict(open_session(plain, 1), inputs, encoder.model_input)
    likeliest = answers.argmax(axis=1)
    index = (int(likeliest[0]) + 1) % 3
    middle = float(np.sort(answers[:, index])[len(answers) // 2])
    rule = DecisionRule(class_name=CLASS_NAMES[index], class_index=index, threshold=middle)
    file = with_note(plain, DECISION, rule.model_dump_json())
    samples = EncodedSamples(inputs, choose_classes(answers, rule), CLASS_NAMES)
    assert (samples.labels != likeliest).any()
    one = Contender(file, inputs, encoder.model_input, "float", answers)
    home = Home(
        {"float": evaluate(one, one, samples.labels, MEASUREMENT, {})}, samples, MEASUREMENT, ("f1_weighted",),
        {"float": read_rule(file)},
    )  # fmt: skip
    folder, out = tmp_path / "there", tmp_path / "measured.json"
    told = answers.copy()  # as if other answers had been given here
    told[:, index] = 0
    plan = write_target(folder, "small", {"float": file}, {"float": told}, inputs, encoder.model_input, MEASUREMENT, [])
    done = run_alone(folder, out)
    assert done.returncode == 0, done.stderr
    document = json.loads(out.read_text())
    (found,) = document["results"]
    num_differing = int((samples.labels != choose_classes(told, rule)).sum())
    assert num_differing != (likeliest != told.argmax(axis=1)).sum()
    largest = pytest.approx(np.abs(told - answers).max())
    assert "failed" not in found and (found["num_differing"], found["largest"]) == (num_differing, largest)
    results, given = evaluate_measured(Measured(out, plan, document), home)
    np.testing.assert_array_equal(given["float"], answers)
    measured = results["float"]
    assert isinstance(measured, Evaluation) and measured.quality.figures["accuracy"] == 1.0
    assert [latency.batch_size for latency in measured.latencies] == [1, 4]


def test_what_is_no_setting_is_refused() -> None:
    assert read_setting(SPINNING).entries == {"session.intra_op.allow_spinning": "0"}
    for text in ("cpu", "CPUExecutionProvider,spin", "CPUExecutionProvider,=1", ""):
        with pytest.raises(TargetError, match="is no setting"):
            read_setting(text)
    assert padding_of(make_encoder("image").model_input) is None
