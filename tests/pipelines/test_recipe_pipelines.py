"""Recipes become pipelines: a branch a candidate, and nodes that fit together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kedro.pipeline import Pipeline

from thresher.pipelines.build import build_pipeline
from thresher.recipe import Recipe
from thresher.recipe.reading import find_recipe_files, read_recipe

FINETUNE = {"kind": "finetune"}
STATIC = {"kind": "quantize_static"}


def build(more: dict[str, Any] | None = None, **candidates: Any) -> Pipeline:
    recipe = {
        **(more or {}),
        "task": "classification",
        "data": {"modality": "image", "train": "raw.train", "test": "raw.test"},
        "model": {"kind": "lenet"},
        "candidates": candidates,
    }
    return build_pipeline("r", Recipe.model_validate(recipe))


def test_test_sets_change_no_input_of_a_training() -> None:
    """What trains and what compresses has the inputs that it had, so that nothing of it runs again."""
    recipe: dict[str, Any] = {
        "task": "classification",
        "data": {"modality": "image", "train": "raw.train", "test": "raw.test"},
        "model": {"kind": "lenet"},
        "candidates": {"half": [{"kind": "prune_channels", "ratio": 0.5}, FINETUNE]},
    }
    before = build_pipeline("r", Recipe.model_validate(recipe))
    recipe["data"] |= {"tests": {"night": "raw.night"}, "corruptions": {"noise": {"kind": "gaussian_noise"}}}
    after = build_pipeline("r", Recipe.model_validate(recipe))
    inputs = [{node.name: node.inputs for node in pipeline.nodes} for pipeline in (before, after)]
    changed = {name for name, given in inputs[0].items() if inputs[1][name] != given}
    assert changed == {"hold_out", "judge_candidates", "write_reports"}
    assert set(inputs[1]) - set(inputs[0]) == {
        "describe_set_night", "check_set_night", "encode_set_night", "corrupt_test_noise", "compare_test_sets",
        *(f"{key}.predict_{on}" for key in ("float", "half") for on in ("night", "noise")),
    }  # fmt: skip


def branch(pipeline: Pipeline, candidate: str) -> dict[str, tuple[list[str], list[str]]]:
    """Return function -> (inputs, outputs) of one candidate's nodes."""
    nodes = [node for node in pipeline.nodes if node.namespace == candidate]
    return {node.func.__name__: (node.inputs, node.outputs) for node in nodes}


def test_float_alone_is_a_whole_pipeline() -> None:
    pipeline = build()
    assert set(branch(pipeline, "float")) == {"export_network", "predict_test", "check_exported", "evaluate_float"}
    free = {name for name in pipeline.inputs() if not name.startswith("params:")}
    assert free == {
        "raw.train",
        "raw.test",
        "r.float.checkpoints",
        "r.reigning_champion",
        "r.set_aside",
        "bentofile_path",
    }
    assert "r.bento" in pipeline.outputs()


def test_every_candidate_is_a_branch_of_its_own() -> None:
    pipeline = build(half=[{"kind": "prune_channels", "ratio": 0.5}, FINETUNE], int8=[STATIC])
    assert {node.namespace for node in pipeline.nodes} == {None, "float", "half", "int8"}
    for candidate in ("half", "int8"):
        tagged = pipeline.only_nodes_with_tags(candidate).nodes
        assert {node.namespace for node in tagged} == {candidate}
    assert set(branch(pipeline, "half")) == {"compress_network", "export_network", "predict_test", "evaluate_candidate"}
    assert set(branch(pipeline, "int8")) == {"quantize_onnx", "predict_test", "evaluate_candidate"}


def test_quantization_starts_from_the_float_file() -> None:
    inputs, outputs = branch(build(int8=[STATIC]), "int8")["quantize_onnx"]
    assert (inputs[0], outputs) == ("r.float.onnx", ["r.int8.onnx"])


def test_chain_of_both_kinds_exports_in_between() -> None:
    nodes = branch(build(both=[{"kind": "prune_weights", "sparsity": 0.5}, STATIC]), "both")
    assert nodes["compress_network"][1] == ["r.both.network"]
    assert nodes["export_network"][1] == ["r.both.unquantized_onnx"]
    assert (nodes["quantize_onnx"][0][0], nodes["quantize_onnx"][1]) == ("r.both.unquantized_onnx", ["r.both.onnx"])


def test_from_takes_the_other_candidate_s_model() -> None:
    half = [{"kind": "prune_channels", "ratio": 0.5}]
    pipeline = build(half=half, again={"from": "half", "steps": [FINETUNE]}, int8={"from": "half", "steps": [STATIC]})
    assert branch(pipeline, "again")["compress_network"][0][0] == "r.half.network"
    assert branch(pipeline, "int8")["quantize_onnx"][0][0] == "r.half.onnx"


def test_a_calibrated_file_is_judged_and_packed_and_others_begin_before_it() -> None:
    candidates = {"int8": [STATIC], "again": {"from": "int8", "steps": [{"kind": "optimize_graph"}]}}
    pipeline, plain = build({"calibrate": "temperature"}, **candidates), build(**candidates)
    inputs, outputs = branch(pipeline, "int8")["calibrate_onnx"]
    assert (inputs[0], outputs) == ("r.int8.onnx", ["r.int8.calibrated_onnx", "r.int8.calibration"])
    assert branch(pipeline, "again")["quantize_onnx"][0][0] == "r.int8.onnx"
    readers = {node.name for node in pipeline.nodes if "r.int8.calibrated_onnx" in node.inputs}
    packing = {"challenge_champion", "crown_champion", "enter_challenger"}
    assert readers - packing == {"int8.predict_test", "int8.evaluate_candidate", "write_reports"}
    # Whatever trains, compresses and exports is the same node with the same inputs and outputs.
    made = {"train", "compress"}
    before, after = ({node for node in each.nodes if node.tags & made} for each in (plain, pipeline))
    assert before < after


def test_verdict_reads_all_evaluations_in_the_recipe_s_order() -> None:
    pipeline = build(b=[STATIC], a=[FINETUNE])
    (judge,) = [node for node in pipeline.nodes if node.name == "judge_candidates"]
    assert judge.inputs[2:] == [
        "r.baseline",
        "r.exported_quality",
        "r.float.evaluation",
        "r.b.evaluation",
        "r.a.evaluation",
    ]


def test_nothing_reads_the_test_split_before_the_evaluation() -> None:
    """Neither training nor compression sees what the verdict is about."""
    pipeline = build(half=[{"kind": "prune_channels", "ratio": 0.5}, FINETUNE, STATIC])
    readers = {node.func.__name__ for node in pipeline.nodes if "r.test_samples" in node.inputs}
    assert readers == {"predict_test", "evaluate_float", "evaluate_candidate", "compare_baseline", "write_reports"}
    readers = {node.func.__name__ for node in pipeline.nodes if "raw.test" in node.inputs}
    assert readers == {"fingerprint_data", "describe_samples", "encode_samples", "challenge_champion", "crown_champion"}


def test_contract_comes_before_all_that_uses_the_data() -> None:
    pipeline = build(int8=[STATIC])
    done: list[str] = []
    for group in pipeline.grouped_nodes:
        done += [node.func.__name__ for node in group]
    assert done.index("check_contract") < done.index("hold_out")
    users = {node.func.__name__ for node in pipeline.nodes if "raw.train" in node.inputs}
    assert users == {"fingerprint_data", "describe_samples", "hold_out", "fit_encoder", "encode_samples"}
    (hold_out,) = [node for node in pipeline.nodes if node.func.__name__ == "hold_out"]
    assert "r.contract_report" in hold_out.inputs
    # Whatever else reads the raw data waits for the split, and so for the contract.
    assert all("r.held_out" in node.inputs for node in pipeline.nodes
               if node.func.__name__ in ("fit_encoder", "encode_samples"))  # fmt: skip


def recipe_names() -> list[str]:
    return list(find_recipe_files(Path(__file__).parents[2]))


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipe_builds(name: str, project: Path) -> None:
    recipe = read_recipe(find_recipe_files(project)[name])
    pipeline, sets = build_pipeline(name, recipe), tuple(f"_{on}" for on in recipe.data.test_sets)
    prefixes = {node.name: f"{node.namespace}." if node.namespace else "" for node in pipeline.nodes}
    of_sets = {node.name for node in pipeline.nodes if sets and node.name.endswith(sets)}
    assert all(
        node.name == prefixes[node.name] + node.func.__name__ for node in pipeline.nodes if node.name not in of_sets
    )


@pytest.mark.parametrize(
    ("shadow", "more"),
    [
        (None, []),
        ({}, ["params:r.shadow", "r.version_challenger", "r.entered_challenger"]),
        ({"version": 3, "register": False}, ["params:r.shadow", "r.version_3"]),
    ],
)
def test_a_challenger_is_read_once_this_runs_own_is_registered(shadow: dict[str, Any] | None, more: list[str]) -> None:
    recipe = {
        "task": "classification",
        "data": {"modality": "image", "train": "raw.train", "test": "raw.test"},
        "model": {"kind": "lenet"},
        "serving": {"shadow": shadow},
    }
    pipeline = build_pipeline("r", Recipe.model_validate(recipe))
    inputs = {node.name: node.inputs for node in pipeline.nodes}
    assert inputs["build_champion_bento"] == ["r.champion", "bentofile_path", *more]
    assert ("enter_challenger" in inputs) == ("r.entered_challenger" in more)
    # Who is shadowed is no part of what the champion is registered with.
    assert "params:r.shadow" not in inputs["crown_champion"]


def test_what_is_no_network_is_fitted_and_makes_its_own_file() -> None:
    space = {"model.max_iter": [10, 20]}
    recipe = {
        "task": "classification",
        "data": {"modality": "tabular", "train": "raw.train", "test": "raw.test"},
        "model": {"kind": "boosted_trees"},
        "training": {"search": {"space": space}},
        "candidates": {"short": [{"kind": "optimize_graph"}]},
    }
    pipeline = build_pipeline("r", Recipe.model_validate(recipe))
    assert set(branch(pipeline, "float")) == {"predict_test", "check_exported", "evaluate_float"}
    functions = {node.func.__name__: node for node in pipeline.nodes if node.namespace is None}
    assert functions["fit_model"].outputs == ["r.float.onnx", "r.training_history"]
    assert "r.found_model" in functions["search_fit"].outputs and "r.found_model" in functions["fit_model"].inputs
    assert functions.keys().isdisjoint({"train_float", "choose_execution", "search_training"})
    assert branch(pipeline, "short")["quantize_onnx"][0][0] == "r.float.onnx"
