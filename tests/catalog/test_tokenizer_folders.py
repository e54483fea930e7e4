"""What is wrong with a graph of texts and its tokenizer is said by `thresher check`, before any data is read."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.pretrained_folders import write_tokenizer
from onnx import TensorProto, helper, numpy_helper

from thresher.caching.file_hashes import FileHashes
from thresher.caching.fingerprints import fingerprint
from thresher.catalog.models import find_model_problems, find_model_to_fetch
from thresher.datasets.model_file import PretrainedFolderDataset
from thresher.errors import RecipeError
from thresher.pipelines.build import build_pipeline
from thresher.recipe import Recipe, dump
from thresher.recipe.reading import RecipeSource, check_recipe

FILE, FOLDER = "data/01_raw/theirs.onnx", "data/01_raw/theirs"
NAMES = ("input_ids", "attention_mask")


def recipe(modality: str = "text", tokenizer: str | None = FOLDER, **model: Any) -> dict[str, Any]:
    named = {} if tokenizer is None else {"tokenizer": tokenizer}
    data: dict[str, Any] = {"modality": modality, "train": "raw.train", "test": "raw.test"}
    if modality == "text":
        data["encoding"] = {"max_length": 20}
    return {"task": "classification", "data": data, "model": {"kind": "onnx", "path": FILE, **named, **model}}


def problems_of(values: dict[str, Any], project: Path) -> list[str]:
    return [f"{'.'.join(map(str, place))}: {what}. {fix}" for place, what, fix in find_model_problems(values, project)]


def write_graph(path: Path, rows: int, names: tuple[str, ...] = NAMES) -> None:
    """Write a mean over vectors of tokens; the table is behind a Cast, as TensorFlow's exporter has it."""
    nodes = [
        helper.make_node("Cast", [names[0]], ["long"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "long"], ["vectors"]),
        *(helper.make_node("Cast", [name], [f"{name}_float"], to=TensorProto.FLOAT) for name in names[1:]),
        helper.make_node("ReduceMean", ["vectors", "axis"], ["y"], keepdims=0),
    ]
    given = [helper.make_tensor_value_info(name, TensorProto.INT32, ("n", "t")) for name in names]
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, ("n", 2))
    stored = [numpy_helper.from_array(np.ones((rows, 2), np.float32), "table")]
    stored.append(numpy_helper.from_array(np.array([1]), "axis"))
    graph = helper.make_graph(nodes, "g", given, [made], stored)
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / FOLDER).mkdir(parents=True)
    write_tokenizer(tmp_path / FOLDER, byte_pairs=False)
    write_graph(tmp_path / FILE, rows=100)
    return tmp_path


def config(**fields: Any) -> Callable[[Path], None]:
    return lambda project: (project / FOLDER / "config.json").write_text(json.dumps(fields)) and None


WRONG: dict[str, tuple[Callable[[Path], Any], dict[str, Any], str]] = {
    "no folder": (
        lambda project: shutil.rmtree(project / FOLDER),
        recipe(),
        "no such folder. Allowed: a folder with tokenizer.json. Fix: correct model.tokenizer in the recipe",
    ),
    "a file": (
        lambda project: None,
        recipe(tokenizer=f"{FOLDER}/tokenizer.json"),
        "tokenizer.json: a file, not a folder. Allowed: a folder with tokenizer.json",
    ),
    "no tokenizer": (
        lambda project: (project / FOLDER / "tokenizer.json").unlink(),
        recipe(),
        "theirs: has no tokenizer.json. Fix: write it with transformers",
    ),
    "a known one that is not here": (
        lambda project: None,
        recipe(tokenizer="data/01_raw/minilm"),
        "no such folder. Fix: thresher fetch minilm",
    ),
    "few rows": (
        lambda project: write_graph(project / FILE, rows=60),
        recipe(),
        r"theirs.onnx: has 60 rows of embeddings, and the tokenizer makes tokens up to \d\d",
    ),
    "few places": (
        config(model_type="bert", max_position_embeddings=12),
        recipe(),
        "takes texts of at most 12 tokens, and data.encoding.max_length is 20",
    ),
    "few places behind the padding": (
        config(model_type="roberta", max_position_embeddings=12),
        recipe(),
        "takes texts of at most 11 tokens",
    ),
    "another padding": (config(pad_token_id=3), recipe(), "pads with token 0, and config.json says pad_token_id 3"),
    "a link outside": (
        lambda project: (project / FOLDER / "config.json").symlink_to(project / FILE),
        recipe(),
        "outside of the folder",
    ),
    "several inputs alone": (
        lambda project: None,
        recipe(tokenizer=None),
        r"takes input_ids int32 \[\?, \?\]; attention_mask int32 .*Fix: model: \{tokenizer: FOLDER\}",
    ),
    "names of nobody": (
        lambda project: write_graph(project / FILE, 100, ("a", "b")),
        recipe(),
        r"what is a and b\? .*say what each is in model: \{inputs: \{a: \?, b: \?\}\}",
    ),
    "no such input": (lambda project: None, recipe(inputs={"ids": "tokens"}), "model.inputs: there is no input 'ids'"),
    "several inputs of images": (
        lambda project: None,
        recipe("image", tokenizer=None),
        "takes 2 inputs: input_ids int32 .*model.constants",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told_with_its_fix(what: str, project: Path) -> None:
    spoil, values, says = WRONG[what]
    spoil(project)
    (problem,) = problems_of(values, project)
    assert problem.startswith("model.path: ") and re.search(says, problem), problem


@pytest.mark.parametrize(
    "fields",
    [{}, {"model_type": "bert", "max_position_embeddings": 20}, {"model_type": "new", "max_position_embeddings": 10}],
)
def test_a_sound_one_has_no_problem_with_and_without_a_config(fields: dict[str, Any], project: Path) -> None:
    config(**fields)(project)
    assert problems_of(recipe(), project) == []
    assert problems_of(recipe(inputs={"attention_mask": "mask"}), project) == []


def test_a_known_tokenizer_that_is_missing_makes_no_recipe_unsound(project: Path) -> None:
    assert find_model_to_fetch(recipe(tokenizer="data/01_raw/minilm"), project) == "minilm"
    assert find_model_to_fetch(recipe(), project) is None


def test_the_recipe_takes_the_graph_s_tokenizer_and_its_pipeline_reads_it() -> None:
    read = Recipe.model_validate(recipe())
    assert dump(read)["data"]["encoding"]["tokenizer"] == "pretrained"
    (fit,) = [node for node in build_pipeline("r", read).nodes if node.name == "fit_encoder"]
    assert "r.tokenizer.model_file" in fit.inputs
    alone = Recipe.model_validate(recipe(tokenizer=None))
    assert dump(alone)["data"]["encoding"]["tokenizer"] == "word"
    assert "r.tokenizer.model_file" not in build_pipeline("r", alone).inputs()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (recipe(inputs={"a": "tokens"}, constants={"a": 1}), "'a' is in inputs and in constants. Fix: leave it out of"),
        (recipe(inputs={"a": "token"}), "model.inputs.a: 'token' is not allowed\\s+Did you mean 'tokens'"),
        (recipe("image"), "model.tokenizer: is for text, and data.modality is image"),
        (recipe("image", tokenizer=None, inputs={"a": "tokens"}), "model.inputs: is for text, and data.modality is im"),
    ],
)
def test_what_cannot_be_is_told_when_the_recipe_is_read(values: dict[str, Any], says: str) -> None:
    assert re.search(says, told_of(values)), told_of(values)


@pytest.mark.parametrize(
    ("tokenizer", "said", "says"),
    [
        (FOLDER, "word", "model.tokenizer names the graph's own, and this is one of kind word"),
        (None, "pretrained", "this onnx names no tokenizer"),
    ],
)
def test_the_encoding_and_the_model_agree_on_the_tokenizer(tokenizer: str | None, said: str, says: str) -> None:
    values = recipe(tokenizer=tokenizer)
    values["data"]["encoding"]["tokenizer"] = said
    assert says in told_of(values)


def told_of(values: dict[str, Any]) -> str:
    with pytest.raises(RecipeError) as caught:
        check_recipe(RecipeSource("r", "pipelines/r.yml", values, {}))
    return " ".join(map(str, caught.value.problems))


def test_the_tokenizer_s_content_counts_and_not_its_name(project: Path, tmp_path: Path) -> None:
    hashes = FileHashes(tmp_path / "hashes.db")

    def seen(folder: Path) -> str | None:
        return fingerprint(PretrainedFolderDataset(path=str(folder), with_weights=False, of_graph=True), hashes)

    first = seen(project / FOLDER)
    copy = shutil.copytree(project / FOLDER, tmp_path / "copy")
    assert first and seen(copy) == first
    (copy / "README.md").write_text("not read")
    assert seen(copy) == first
    (copy / "tokenizer_config.json").write_text("{}")
    assert seen(copy) not in (first, None)
