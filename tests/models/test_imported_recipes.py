"""What a recipe says of a model from elsewhere is checked when it is read, and its pipeline trains nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from kedro.io import DatasetError
from kedro.pipeline import Pipeline

from thresher.caching.file_hashes import FileHashes
from thresher.caching.fingerprints import fingerprint
from thresher.datasets.model_file import ModelFileDataset
from thresher.errors import DataError, RecipeError
from thresher.models import ModelChoice
from thresher.models.imported.config import Checkpoint, ModelFile
from thresher.models.resnet.config import Resnet
from thresher.pipelines.build import build_pipeline
from thresher.recipe import Recipe, dump
from thresher.recipe.reading import RecipeSource, check_recipe

ONNX = {"kind": "onnx", "path": "models/digits.onnx"}
CHECKPOINT = {"kind": "checkpoint", "architecture": "resnet", "depth": 56, "path": "models/weights.safetensors"}
STATIC = [{"kind": "quantize_static"}]
PRUNED = [{"kind": "prune_channels", "ratio": 0.5}, {"kind": "finetune"}]


def values(model: dict[str, Any], modality: str = "image", **sections: Any) -> dict[str, Any]:
    data = {"modality": modality, "train": "raw.train", "test": "raw.test"}
    return {"task": "classification", "data": data, "model": model, **sections}


def problems(model: dict[str, Any], modality: str = "image", **sections: Any) -> list[str]:
    source = RecipeSource("r", "pipelines/r.yml", values(model, modality, **sections), {})
    with pytest.raises(RecipeError) as caught:
        check_recipe(source)
    return [str(problem) for problem in caught.value.problems]


def build(model: dict[str, Any], **candidates: Any) -> tuple[Pipeline, dict[str, list[str]]]:
    pipeline = build_pipeline("r", Recipe.model_validate(values(model, candidates=candidates)))
    return pipeline, {node.name: node.outputs for node in pipeline.nodes}


def test_a_checkpoint_has_the_fields_of_its_architecture() -> None:
    model = ModelChoice.model_validate(CHECKPOINT).root
    assert isinstance(model, Checkpoint) and model.network == Resnet(depth=56, width=16)
    recipe = Recipe.model_validate(values(CHECKPOINT))
    assert dump(recipe)["model"]["width"] == 16
    assert Recipe.model_validate(dump(recipe)) == recipe


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ({**CHECKPOINT, "depth": 57}, "a depth is 6n\\+2, got 57"),
        ({**CHECKPOINT, "deep": 56}, "no key .deep. .Did you mean .depth.*Allowed keys: path, .*depth, width"),
        ({**CHECKPOINT, "architecture": "resnett"}, "there is no architecture 'resnett'. Did you mean 'resnet'"),
        (
            {**CHECKPOINT, "architecture": "pretrained"},
            "both have architecture, path. Fix: use kind: pretrained itself",
        ),
        ({"kind": "checkpoint", "path": "w"}, "'architecture' is missing"),
        ({**CHECKPOINT, "mean": [0.5]}, "give both of mean and std"),
        ({"kind": "onnx"}, "'path' is missing"),
        ({**ONNX, "layot": "auto"}, "unknown key 'layot'.*Did you mean 'layout'"),
        ({**ONNX, "std": [0]}, "greater than 0"),
        ({"kind": "exported", "path": "m.pt2"}, "can run code.*trust: true.*kind: onnx"),
        ({**ONNX, "output": "value"}, "a classification has no output of value.*auto, logits or probabilities"),
        ({**ONNX, "rows": "encoded"}, "is for tabular, and data.modality is image"),
    ],
)
def test_mistakes_are_told_with_their_fix(model: dict[str, Any], says: str) -> None:
    (problem,) = problems(model)
    assert re.search(rf"(?s){says}", problem), problem


def test_what_fits_another_modality_or_task_is_refused() -> None:
    (problem,) = problems({**ONNX, "layout": "channels_last"}, "tabular")
    assert "is for image and series" in problem
    (problem,) = problems(CHECKPOINT, "text")
    assert "model resnet takes image, and data.modality is text" in problem
    (problem,) = problems({**ONNX, "class_names": ["a"]}, task="regression", selection={"minimize": "size_bytes"})
    assert "a regression has no classes" in problem


def test_a_graph_is_neither_trained_nor_pruned_nor_searched() -> None:
    search = {"space": {"training.optimizer.lr": {"low": 0.001, "high": 0.1}}, "trials": 2}
    found = problems(ONNX, candidates={"small": PRUNED}, training={"search": search})
    assert len(found) == 3
    assert any("candidates.small.steps.0: prune_channels: a model of kind onnx is a graph" in one for one in found)
    assert any("candidates.small.steps.1: finetune" in one and "kind: checkpoint" in one for one in found)
    assert any("training.search: a model of kind onnx is not trained here" in one for one in found)
    (problem,) = problems(CHECKPOINT, training={"learning_rate": "auto"})
    assert "training.learning_rate: a model of kind checkpoint is not trained here" in problem


def test_a_graph_s_file_is_raw_data_and_nothing_of_torch_is_made() -> None:
    pipeline, nodes = build(ONNX, int8=STATIC)
    assert nodes["import_model"] == ["r.float.onnx", "r.imported"]
    assert not {"train_float", "choose_execution", "float.export_network"} & nodes.keys()
    assert "r.model_file" in pipeline.inputs()
    assert not [name for name in pipeline.datasets() if name.endswith(("network", "execution", "checkpoints"))]


def test_a_checkpoint_is_finetuned_by_the_training_section() -> None:
    pipeline, nodes = build(CHECKPOINT, small=PRUNED)
    assert nodes["import_network"] == ["r.float.network", "r.imported"]
    assert {"choose_execution", "float.export_network", "small.compress_network"} <= nodes.keys()
    assert "train_float" not in nodes and "r.model_file" in pipeline.inputs()
    _, quick = build(CHECKPOINT, int8=STATIC)
    assert "choose_execution" not in quick


def test_a_checkpoint_that_is_trained_further_is_trained_like_one_s_own() -> None:
    further = {**CHECKPOINT, "train": True}
    pipeline, nodes = build(further, small=PRUNED)
    assert nodes["train_float"] == ["r.float.network", "r.training_history"] and "import_network" not in nodes
    reads = {node.name.rpartition(".")[2]: node.inputs for node in pipeline.nodes}
    assert all("r.model_file" in reads[name] for name in ("train_float", "choose_execution"))
    assert "r.model_file" not in reads["fit_encoder"] and "r.imported" not in pipeline.datasets()
    search = {"space": {"training.optimizer.lr": {"low": 0.001, "high": 0.1}}, "trials": 2}
    for training in ({"learning_rate": "auto"}, {"search": search}):
        check_recipe(RecipeSource("r", "pipelines/r.yml", values(further, training=training), {}))
    (problem,) = problems({**CHECKPOINT, "head": "fresh"})
    assert "answers nothing before it is trained; add train: true" in problem
    (problem,) = problems(further, "text")
    assert "model resnet takes image, and data.modality is text" in problem


def test_the_file_s_content_counts_and_not_its_name(tmp_path: Path) -> None:
    hashes = FileHashes(tmp_path / "hashes.db")

    def seen(name: str) -> str | None:
        return fingerprint(ModelFileDataset(path=str(tmp_path / name)), hashes)

    (tmp_path / "a.onnx").write_bytes(b"one")
    (tmp_path / "b.onnx").write_bytes(b"one")
    first = seen("a.onnx")
    assert first and first == seen("b.onnx")
    (tmp_path / "b.onnx.data").write_bytes(b"weights beside it")
    assert seen("b.onnx") != first
    (tmp_path / "a.onnx").write_bytes(b"two")
    assert seen("a.onnx") not in (first, None)
    assert ModelFileDataset(path=str(tmp_path / "b.onnx")).load() == ModelFile("b.onnx", b"one", b"weights beside it")


def test_a_file_that_is_not_there_is_told_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        ModelFileDataset(path=str(tmp_path / "no.onnx")).load()
    assert isinstance(caught.value.__cause__, DataError)
    assert "no.onnx: no such file. Fix: correct model.path in the recipe" in str(caught.value.__cause__)
