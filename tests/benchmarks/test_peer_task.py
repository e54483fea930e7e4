"""What the peers of benchmarks/compression.py are given of a run: in the project's own folder or in another."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml
from helpers.benchmark_scripts import import_scripts

from thresher.datasets.local import SamplesDataset
from thresher.modalities.samples import Samples
from thresher.modalities.text.encoder import TextEncoder, TextEncoding

NAME = "films"
TEXTS = np.array(["a good film", "a bad film , and very dull", "good", "bad fun"] * 8, dtype=object)


@pytest.fixture(scope="module")
def scripts(project: Path) -> dict[str, ModuleType]:
    return import_scripts(project, compression="compression", task="peer_task", making="peers.making")


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A project's folder with what a run of a text recipe leaves, as far as it is used here."""
    candidates = {
        "half": [{"kind": "prune_channels", "ratio": 0.5}, {"kind": "finetune", "epochs": 3, "distill": {}}],
        "student": [{"kind": "distill", "student": {"kind": "textcnn"}, "epochs": 20}],
    }
    recipe = {
        "task": "classification",
        "data": {"modality": "text", "train": "films.train", "test": "films.test"},
        "model": {"kind": "transformer"},
        "training": {"precision": "auto", "clip_norm": 1.0, "optimizer": {"kind": "adamw", "lr": 0.0001}},
        "candidates": candidates,
        "selection": {"require": {"accuracy_drop": {"at_most": 0.02}}},
    }
    samples = Samples(TEXTS, np.arange(len(TEXTS), dtype=np.int64) % 2, ("bad", "good"))
    encoder = TextEncoder.fit(samples, TextEncoding(max_length=12))
    data = tmp_path / "data"
    write(tmp_path / "pipelines" / f"{NAME}.yml", yaml.safe_dump(recipe))
    write(data / "04_feature" / NAME / "encoder.json", encoder.model_dump_json())
    write(data / "06_models" / NAME / "float" / "model.onnx", "the float model")
    write(data / "06_models" / NAME / "execution.json", json.dumps({"precision": "bf16"}))
    write(data / "08_reporting" / NAME / "verdict.json", json.dumps({"winner": "student"}))
    for split in ("training", "validation", "test"):
        encoded = samples.with_inputs(encoder.encode(samples.inputs))
        SamplesDataset(str(data / "05_model_input" / NAME / f"{split}_samples")).save(encoded)
    return tmp_path


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_a_text_recipes_task_says_what_padding_is_and_how_it_was_trained(
    scripts: dict[str, ModuleType], films: Path, tmp_path: Path
) -> None:
    run, folder = scripts["task"].RecipeRun(films, NAME), tmp_path / "peers"
    scripts["compression"].check(run)
    scripts["task"].prepare(run, folder)
    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    assert (task["input"], task["padding"], task["at_most"]) == ("tokens", 0, 0.02)
    how = task["finetuning"]
    # The winner is a student, which begins anew: what counts is the longest finetuning of another.
    assert (how["epochs"], how["precision"], how["clip_norm"]) == (3, "bf16", 1.0)
    assert (folder / "float.onnx").read_bytes() == b"the float model"
    assert np.load(folder / "calibration.npy").shape == (len(TEXTS), 7)


def test_what_was_made_of_another_float_model_goes(
    scripts: dict[str, ModuleType], films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, folder = scripts["task"].RecipeRun(films, NAME), tmp_path / "peers"
    scripts["task"].prepare(run, folder)
    write(folder / "nncf_int8.onnx", "made")
    scripts["task"].prepare(run, folder)
    assert (folder / "nncf_int8.onnx").exists()
    write(run.float_file, "another float model")
    scripts["task"].prepare(run, folder)
    assert not (folder / "nncf_int8.onnx").exists()
    assert "they begin anew" in capsys.readouterr().out


def test_batches_are_cut_to_their_longest_text(scripts: dict[str, ModuleType], films: Path, tmp_path: Path) -> None:
    folder = tmp_path / "peers"
    scripts["task"].prepare(scripts["task"].RecipeRun(films, NAME), folder)
    task = scripts["making"].Task(folder)
    tokens = np.array([[5, 6, 0, 0, 0], [5, 0, 7, 0, 0], [8, 0, 0, 0, 0]])
    assert task.trim(tokens).tolist() == [[5, 6, 0], [5, 0, 7], [8, 0, 0]]
    assert task.trim(tokens[2:]).tolist() == [[8]]
    task.padding = None
    assert task.trim(tokens) is tokens


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("pipelines/films.yml", "There is no recipe films in "),
        ("data/08_reporting/films/verdict.json", "films was not run to its verdict: there is no "),
    ],
)
def test_another_projects_folder_must_hold_the_run(
    scripts: dict[str, ModuleType], films: Path, damage: str, said: str
) -> None:
    (films / damage).unlink()
    with pytest.raises(SystemExit, match=f"{said}{films}"):
        scripts["compression"].check(scripts["task"].RecipeRun(films, NAME))


def test_packages_of_kinds_come_along_from_where_they_were_installed(
    scripts: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = scripts["compression"].packages_of_kinds()
    for name, origin in (("near", {"url": "file:///near", "dir_info": {}}), ("far", {})):
        info = tmp_path / f"{name}-1.2.dist-info"
        write(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        write(info / "entry_points.txt", f"[thresher.models]\n{name} = {name}:KIND\n")
        write(info / "direct_url.json", json.dumps(origin))
    monkeypatch.syspath_prepend(tmp_path)
    assert sorted(set(scripts["compression"].packages_of_kinds()) - set(before)) == ["far==1.2", "file:///near"]
