"""What the nodes of a recipe depend on, on the default recipe and the real catalog."""

from __future__ import annotations

import copy
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.io import DataCatalog

from thresher.caching.dependencies import data_only, find_dependencies, find_versions
from thresher.caching.file_hashes import FileHashes
from thresher.caching.fingerprints import ABSENT, CatalogContents
from thresher.caching.records import Dependencies
from thresher.code_fingerprint.graph import CodeGraph
from thresher.machine import describe_machine
from thresher.pipelines.build import build_pipeline
from thresher.recipe import Recipe, dump

# Kedro's advice against the dots that the catalog's patterns read.
pytestmark = pytest.mark.filterwarnings("ignore:One or more dataset names contain")

Find = Callable[..., dict[str, Dependencies]]
PACKAGED = {"challenge_champion", "crown_champion"}
"""These read how measures are described of the measure that the recipe names."""
TIMED_FUNCTIONS = {"choose_execution", "evaluate_float", "evaluate_candidate", "challenge_champion"}


@pytest.fixture(scope="module")
def digits_recipe(project: Path) -> dict[str, Any]:
    recipe: dict[str, Any] = yaml.safe_load((project / "pipelines" / "digits.yml").read_text())
    return recipe


@pytest.fixture(scope="module")
def find(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Find:
    """Return what the nodes of a recipe depend on, whose values are given unchecked."""

    kept = Path(tmp_path_factory.mktemp("kept"))

    graph = CodeGraph()

    def find(values: dict[str, Any], **entries: dict[str, Any]) -> dict[str, Dependencies]:
        recipe = Recipe.model_validate(values)
        catalog = yaml.safe_load((project / "conf" / "base" / "catalog.yml").read_text()) | entries
        contents = CatalogContents(DataCatalog.from_config(catalog), FileHashes(kept / "hashes.db"))
        parameters = dump(recipe)
        for name, candidate in parameters["candidates"].items():
            candidate["name"] = name
        whole = {"r": {**parameters, "name": "r"}}
        return find_dependencies("r", build_pipeline("r", recipe), whole, contents, graph, project)

    return find


@pytest.fixture(scope="module")
def found(find: Find, digits_recipe: dict[str, Any]) -> dict[str, Dependencies]:
    return find(digits_recipe)


def test_every_node_has_dependencies(found: dict[str, Dependencies], digits_recipe: dict[str, Any]) -> None:
    nodes = build_pipeline("r", Recipe.model_validate(digits_recipe)).nodes
    assert set(found) == {node.name for node in nodes}
    for node in nodes:
        name = f"{node.func.__module__.replace('.', '/')}.py:{node.func.__name__}"
        assert name in found[node.name].code, name


def test_timed_nodes_alone_depend_on_the_machine(found: dict[str, Dependencies]) -> None:
    for name, dependencies in found.items():
        timed = name.rpartition(".")[2] in TIMED_FUNCTIONS
        assert dependencies.machine == (describe_machine() if timed else {}), name


def test_each_depends_on_the_packages_that_its_code_uses(found: dict[str, Dependencies]) -> None:
    assert {"python", "torch", "numpy"} <= set(found["train_float"].versions)
    assert not {"torch", "onnxruntime"} & set(found["fingerprint_data"].versions)
    assert "great-expectations" not in found["int8.quantize_onnx"].versions
    assert "great-expectations" in found["check_contract"].versions
    assert {"torch", "onnx", "onnxscript"} <= set(found["float.export_network"].versions)
    assert "onnxruntime" in found["int8.quantize_onnx"].versions
    assert "torch-pruning" in found["half_channels.compress_network"].versions
    assert "torch-pruning" not in found["train_float"].versions
    assert "bentoml" in found["build_champion_bento"].versions
    carriers = {name for name, dependencies in found.items() if {"kedro", "pydantic"} & set(dependencies.versions)}
    assert carriers == {"build_champion_bento"}  # which pins what it packs
    assert all("none" not in dependencies.versions.values() for dependencies in found.values())


def test_modules_that_merely_lie_on_the_path_do_not_count(
    find: Find, digits_recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts such as 'training.epochs' are places in a recipe, and not in somebody's training.py."""
    for name in ("training", "data", "selection", "serving"):
        (tmp_path / f"{name}.py").write_text("import torch\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name, dependencies in find(digits_recipe).items():
        assert not [place for place in dependencies.code if not place.startswith(("thresher/", "kinds/"))], name


def test_versions_are_those_that_are_installed() -> None:
    versions = find_versions(frozenset({"torch", "sklearn", "yaml", "kedro", "not_there_at_all"}))
    assert versions.pop("onnxscript") and versions.pop("onnx-ir")
    assert versions.pop("python").count(".") == 1
    installed = {name: version(name) for name in ("torch", "scikit-learn", "pyyaml")}
    assert versions == {**installed, "not-there-at-all": "none"}


def test_kinds_that_the_recipe_does_not_name_are_not_reached(found: dict[str, Dependencies]) -> None:
    train = set(found["train_float"].code)
    assert "thresher/models/cnn.py" in train
    assert not {"thresher/models/lenet.py", "thresher/models/resnet.py"} & train
    pruning, sparse = (f"thresher/compression/network/prune_{what}.py" for what in ("channels", "weights"))
    halves, thinned = (found[f"{name}.compress_network"].code for name in ("half_channels", "sparse"))
    assert pruning in halves and pruning not in thinned
    assert sparse in thinned and sparse not in halves
    quantized = found["int8_dynamic.quantize_onnx"].code
    assert "thresher/compression/file/quantize_static.py" not in quantized


def test_what_is_measured_does_not_depend_on_how_it_was_trained(found: dict[str, Dependencies]) -> None:
    """Only what it was given decides: a change to the training measures again what comes out different alone."""
    for node in ("describe_samples", "float.predict_test", "float.evaluate_float", "int8.evaluate_candidate"):
        assert not any(place.startswith("thresher/training/") for place in found[node].code), node


@pytest.mark.parametrize(
    ("node", "rooms"),
    [
        ("train_float", ("contracts", "evaluation", "compression", "tracking")),
        ("judge_candidates", ("training", "compression", "contracts", "tracking")),
        ("compare_baseline", ("training", "compression", "contracts", "tracking")),
        ("challenge_champion", ("compression", "contracts", "training", "search")),
    ],
)
def test_a_node_does_not_depend_on_what_its_neighbours_import(
    found: dict[str, Dependencies], node: str, rooms: tuple[str, ...]
) -> None:
    """A module of nodes holds those of a stage, and imports what each of them needs."""
    reached = {place.split("/")[1] for place in found[node].code if place.startswith("thresher/")}
    assert not reached & set(rooms)


def test_who_reads_a_verdict_does_not_depend_on_how_it_is_reached(found: dict[str, Dependencies]) -> None:
    judge = "thresher/evaluation/judge.py"
    assert {name for name, dependencies in found.items() if judge in dependencies.code} == {"judge_candidates"}


def test_kinds_count_for_what_descends_from_them(find: Find, digits_recipe: dict[str, Any]) -> None:
    """A network is rebuilt by its model's code wherever it is read."""
    digits_recipe = {**digits_recipe, "model": {"kind": "lenet"}}
    code = find(digits_recipe)["float.export_network"].code
    assert "thresher/models/lenet.py" in code
    assert "thresher/models/cnn.py" not in code


def test_a_node_depends_on_its_own_part_of_the_recipe(found: dict[str, Dependencies]) -> None:
    assert set(found["hold_out"].parameters) == {"task", "data.validation", "training.seed"}
    encoding = {"data.encoding.kind": "image", "data.encoding.size": None, "data.encoding.channels": None}
    assert found["describe_samples"].parameters == encoding
    assert found["float.predict_test"].parameters == {"evaluation.threads": 1}
    train = found["train_float"].parameters
    assert {train["model.kind"], train["training.optimizer.kind"], train["training.epochs"]} == {"cnn", "adam", 15}
    own = {name.split(".")[1] for name in found["sparse.compress_network"].parameters if name.startswith("candidates.")}
    assert own == {"sparse"}


def change(recipe: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(recipe)
    *keys, last = place.split(".")
    section = changed
    for key in keys:
        section = section.setdefault(key, {})
    section[last] = value
    return changed


@pytest.mark.parametrize(
    ("place", "value", "nodes"),
    [
        ("description", "Other", {"write_reports"}),
        ("serving.max_batch_size", 8, {"crown_champion"}),
        ("data.validation", 0.2, {"hold_out"}),
        ("model.hidden", 8, {"choose_execution", "train_float", "write_reports"}),
        (
            "selection.minimize",
            "size_bytes",
            {"judge_candidates", *PACKAGED, "draw_verdict", "write_reports"},
        ),
        (
            "candidates.int8",
            [{"kind": "quantize_static", "calibration_samples": 8}],
            {"int8.quantize_onnx", "write_reports"},
        ),
        ("training.device", "auto", set()),
    ],
)
def test_an_edit_concerns_the_nodes_that_take_it(
    find: Find, digits_recipe: dict[str, Any], found: dict[str, Dependencies],
    place: str, value: Any, nodes: set[str],
) -> None:  # fmt: skip
    changed = find(change(digits_recipe, place, value))
    assert {name for name, dependencies in changed.items() if dependencies != found[name]} == nodes


def test_a_metric_is_code_of_what_computes_it_also_with_brackets(find: Find, digits_recipe: dict[str, Any]) -> None:
    named = change(
        change(digits_recipe, "evaluation.metrics", ["recall[3]", "brier"]), "training.best_by", "roc_auc[7]"
    )
    slices = {"by": ["label"], "require": {"f1[3]": {"at_least": 0.1}}}
    named = change(named, "selection.slices", slices)
    ours, theirs = (f"thresher/evaluation/{name}_metrics.py" for name in ("class", "probability"))
    code = {name: dependencies.code for name, dependencies in find(named).items()}
    assert {ours, theirs, "kinds/metric/recall"} <= code["float.evaluate_float"].keys()
    assert ours in code["compare_slices"]
    assert theirs in code["train_float"] and "kinds/metric/roc_auc" in code["train_float"]
    assert "thresher/evaluation/metric_requirements.py" in code["count_classes"]


def test_what_descends_from_raw_data_depends_on_it(
    find: Find, digits_recipe: dict[str, Any], found: dict[str, Dependencies]
) -> None:
    assert all(set(dependencies.raw) == {"digits.train", "digits.test"} for dependencies in found.values())
    train = {"type": "thresher.readers.BundledDigits", "split": "train", "seed": 7}
    changed = find(digits_recipe, **{"digits.train": train})
    for name, dependencies in changed.items():
        assert dependencies.raw["digits.train"] != found[name].raw["digits.train"], name
        assert dependencies.raw["digits.test"] == found[name].raw["digits.test"], name


def test_raw_data_that_is_not_there_is_known_to_be_absent(find: Find, digits_recipe: dict[str, Any]) -> None:
    elsewhere = {"type": "thresher.readers.ImageFolder", "path": "/nowhere"}
    assert find(digits_recipe, **{"digits.train": elsewhere})["train_float"].raw["digits.train"] == ABSENT


def test_a_dataset_of_another_type_is_other_code(find: Find, digits_recipe: dict[str, Any]) -> None:
    pattern = {"type": "thresher.datasets.local.OnnxDataset", "filepath": "data/{recipe}/encoder.json"}
    code = find(digits_recipe, **{"{recipe}.encoder": pattern})["fit_encoder"].code
    assert "thresher/datasets/local.py:OnnxDataset" in code
    assert not any(name.endswith(":DocumentDataset") for name in code)


def test_parameters_are_no_data() -> None:
    assert data_only(["a", "params:r.training", "parameters", "r.b"]) == ["a", "r.b"]
