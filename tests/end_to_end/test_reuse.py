"""Exactly what changed runs again: recipe, parameters, data, outputs, machine; one story in one project.

Every run stands on those before it. What is asserted is which nodes ran, not what the plan says of them alone.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from kedro_project import TINY, Done, NewProject, Project, flip_byte, write_own_digits

from thresher.pipelines.build import build_pipeline
from thresher.recipe import Recipe

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

OWN = {"modality": "image", "train": "own.train", "test": "own.test"}
RECIPE: dict[str, Any] = {**TINY, "data": OWN}
ALL = [node.name for node in build_pipeline("small", Recipe.model_validate(RECIPE)).nodes]
TIMED = ["float.evaluate_float", "half.evaluate_candidate", "int8.evaluate_candidate"]
SPLIT = ["hold_out", "fit_encoder", "encode_samples"]
TOLD = ["write_reports"]
CARRIED = ["crown_champion"]
"""The model card is part of what is registered. The same model is not registered again, and its Bento is there."""
JUDGED = ["judge_candidates", "draw_verdict", *TOLD]
VERDICT = ["compare_baseline", *JUDGED]
# The winner is the champion itself, which stays with the Bento that it has.
PACKAGE = ["challenge_champion", "crown_champion"]
COMPARED = "float.check_exported"
"""The same weights come out of a training, and the same seconds in its history where its checkpoint is there."""


def changed(*keys: Any, to: Any) -> dict[str, Any]:
    """Return the recipe with one value changed."""
    recipe = copy.deepcopy(RECIPE)
    place = recipe
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = to
    return recipe


@pytest.fixture(scope="module")
def project(new_project: NewProject) -> Project:
    project = new_project("reuse")
    project.write_recipe("small", RECIPE)
    write_own_digits(project)
    return project


@pytest.fixture(scope="module")
def full(project: Project) -> Done:
    return project.run().succeeded()


def test_the_first_run_runs_everything(full: Done) -> None:
    full.ran(*ALL)
    assert list(full.planned("run")) == ["not run before"]


@pytest.fixture(scope="module")
def reformatted(project: Project, full: Done) -> Done:
    backwards = dict(reversed(list(RECIPE.items())))
    text = yaml.safe_dump(backwards, sort_keys=False, default_flow_style=True)
    (project.folder / "pipelines" / "small.yml").write_text(f"# A comment\n{text}\n# Another one\n")
    return project.run().succeeded()


def test_a_recipe_with_comments_and_another_format_runs_nothing(reformatted: Done) -> None:
    reformatted.ran()
    assert list(reformatted.planned("run")) == []


@pytest.fixture(scope="module")
def other_candidate(project: Project, reformatted: Done) -> tuple[Done, Done]:
    """The plan, and the run that keeps to it, of a recipe with one candidate changed."""
    project.write_recipe("small", changed("candidates", "int8", 0, "calibration_samples", to=32))
    return project.plan(), project.run("--runner", "ParallelRunner").succeeded()


def test_a_changed_candidate_runs_with_the_verdict_and_nothing_else(other_candidate: tuple[Done, Done]) -> None:
    _, run = other_candidate
    int8 = ["int8.quantize_onnx", "int8.predict_test", "int8.evaluate_candidate"]
    run.ran(*int8, *VERDICT, *PACKAGE)
    # Card and report say what was done to each candidate.
    changed_nodes = ["int8.quantize_onnx", *TOLD]
    assert run.planned("run") == {"candidates.int8.steps.0.calibration_samples 64 -> 32": changed_nodes}


def test_the_plan_beforehand_is_the_plan_of_the_run(other_candidate: tuple[Done, Done]) -> None:
    plan, run = other_candidate
    assert plan.plan == run.plan
    assert plan.planned_nodes("run", "maybe", "reused") == set(ALL)


@pytest.fixture(scope="module")
def selections(project: Project, other_candidate: tuple[Done, Done]) -> dict[str, Done]:
    """One more change of the candidate, run piece by piece."""
    project.write_recipe("small", changed("candidates", "int8", 0, "calibration_samples", to=16))
    ways = (("--tags", "half"), ("--to-outputs", "small.int8.onnx"), ("--tags", "int8"), ("--from-nodes", VERDICT[0]))
    return {name: project.run(option, name).succeeded() for option, name in ways}


def test_a_tag_without_a_change_runs_nothing(selections: dict[str, Done]) -> None:
    selections["half"].ran()


def test_a_selected_output_runs_the_changed_node_before_it_and_nothing_else(selections: dict[str, Done]) -> None:
    selections["small.int8.onnx"].ran("int8.quantize_onnx")


def test_a_selected_tag_takes_what_another_selection_has_made(selections: dict[str, Done]) -> None:
    selections["int8"].ran("int8.predict_test", "int8.evaluate_candidate")
    assert "int8.quantize_onnx" in selections["int8"].planned_nodes("reused")


def test_from_a_node_on_runs_what_the_selections_before_have_changed(selections: dict[str, Done]) -> None:
    selections["compare_baseline"].ran(*VERDICT, *PACKAGE)


@pytest.fixture(scope="module")
def parameter(project: Project, selections: dict[str, Done]) -> Done:
    return project.run("--params", "small.description=Other words").succeeded()


def test_a_parameter_of_the_command_line_runs_the_nodes_that_take_it(parameter: Done) -> None:
    """And none else, after selections that together were a whole run."""
    parameter.ran(*TOLD, *CARRIED)
    assert list(parameter.planned("run")) == ["description Digits, small and quick -> Other words"]


@pytest.fixture(scope="module")
def overlay(project: Project, parameter: Done) -> Done:
    project.write_configuration("longer", "parameters", {"small": {"training": {"epochs": 3}}})
    return project.run("--env", "longer", "--to-nodes", "train_float").succeeded()


def test_an_overlay_of_an_environment_runs_the_nodes_that_take_it(overlay: Done) -> None:
    overlay.ran("choose_execution", "train_float")
    assert list(overlay.planned("run")) == ["training.epochs 2 -> 3"]


@pytest.fixture(scope="module")
def seed(project: Project, overlay: Done) -> Done:
    return project.run("--params", "small.training.seed=2", "--to-nodes", "train_float").succeeded()


def test_another_seed_splits_and_trains_again(seed: Done) -> None:
    seed.ran(*SPLIT, "choose_execution", "train_float")
    assert "hold_out" in seed.planned("run")["training.seed 1 -> 2"]


@pytest.fixture(scope="module")
def changed_back(project: Project, seed: Done) -> Done:
    return project.run("--runner", "ThreadRunner").succeeded()


def test_changed_back_the_same_network_comes_out_and_what_follows_is_taken(changed_back: Done) -> None:
    changed_back.ran(*SPLIT, "choose_execution", "train_float", *TOLD, *CARRIED, perhaps=COMPARED)


@pytest.fixture(scope="module")
def damaged(project: Project, changed_back: Done) -> tuple[Done, bool]:
    """A run after two outputs were damaged, and whether they are then as they were."""
    models = project.folder / "data" / "06_models" / "small"
    deleted, altered = models / "int8" / "model.onnx", models / "half" / "network" / "weights.safetensors"
    before = [deleted.read_bytes(), altered.read_bytes()]
    deleted.unlink()
    flip_byte(altered, altered.stat().st_size // 2)
    done = project.run().succeeded()
    return done, [deleted.read_bytes(), altered.read_bytes()] == before


def test_a_deleted_and_an_altered_output_are_made_again_and_nothing_else(damaged: tuple[Done, bool]) -> None:
    done, as_before = damaged
    done.ran("int8.quantize_onnx", "half.compress_network")
    assert as_before
    assert done.planned("run") == {
        "output half.network altered": ["half.compress_network"],
        "output int8.onnx deleted": ["int8.quantize_onnx"],
    }


@pytest.fixture(scope="module")
def crashed(project: Project, damaged: tuple[Done, bool]) -> Done:
    """A run after three crashes between outputs and their records, and with another version of a package."""
    network = project.folder / "data" / "06_models" / "small" / "float" / "network" / "weights.safetensors"
    kept = {node: project.record(node).read_bytes() for node in ("choose_execution", "train_float")}
    content = network.read_bytes()
    project.run("--params", "small.training.epochs=1", "--to-nodes", "train_float").succeeded()
    assert network.read_bytes() != content
    for node, record in kept.items():
        project.record(node).write_bytes(record)  # an old record beside new outputs
    project.record("float.predict_test").unlink()
    project.record("int8.quantize_onnx").write_text('{"node": "int8.quantize_onnx", "depen')
    project.edit_record("half.compress_network", "versions", torch_pruning="1.0")
    return project.run().succeeded()


def test_a_crash_between_an_output_and_its_record_costs_a_run_of_the_node(crashed: Done) -> None:
    crashed.ran("train_float", "float.predict_test", "int8.quantize_onnx", "half.compress_network", perhaps=COMPARED)
    reasons = {node: why for why, nodes in crashed.planned("run").items() for node in nodes}
    assert reasons["train_float"].startswith("output float.network altered")
    assert reasons["float.predict_test"] == reasons["int8.quantize_onnx"] == "not run before"


def test_another_version_of_a_package_runs_the_nodes_that_use_it(crashed: Done) -> None:
    (reason,) = [why for why, nodes in crashed.planned("run").items() if nodes == ["half.compress_network"]]
    assert reason.startswith("torch-pruning 1.0 -> ")


@pytest.fixture(scope="module")
def other_machine(project: Project, crashed: Done) -> Done:
    for node in (*TIMED, "challenge_champion"):
        project.edit_record(node, "machine", processor="Another CPU")
    return project.run().succeeded()


def test_on_another_machine_times_are_measured_again_and_nothing_is_trained(other_machine: Done) -> None:
    other_machine.ran(*TIMED, *JUDGED, *PACKAGE)
    ((reason, nodes),) = other_machine.planned("run").items()
    assert reason.startswith("another machine: processor Another CPU -> ")
    assert set(TIMED) <= set(nodes)


@pytest.fixture(scope="module")
def kedros_own(project: Project, other_machine: Done) -> Done:
    """Kedro's option, with one output gone, and a change that by our rules trains everything."""
    (project.folder / "data" / "08_reporting" / "small" / "verdict.png").unlink()
    return project.run("--only-missing-outputs", "--params", "small.training.epochs=1").succeeded()


def test_only_missing_outputs_is_kedros_rule_by_existence_alone(kedros_own: Done) -> None:
    assert kedros_own.nodes == ["draw_verdict"]


@pytest.fixture(scope="module")
def fresh(project: Project, kedros_own: Done) -> Done:
    return project.run("--fresh", "--tags", "contract").succeeded()


def test_fresh_runs_all_that_is_selected(fresh: Done) -> None:
    fresh.ran("fingerprint_data", "describe_samples", "check_contract")
    assert list(fresh.planned("run")) == ["requested by --fresh"]


@pytest.fixture(scope="module")
def other_byte(project: Project, fresh: Done) -> Done:
    project.write_recipe("small", RECIPE)
    flip_byte(project.folder / "data" / "01_raw" / "own" / "train-images", 5000)
    return project.run("--runner", "ThreadRunner").succeeded()


def test_one_byte_of_raw_data_runs_everything(other_byte: Done) -> None:
    other_byte.ran(*ALL)
    assert list(other_byte.planned("run")) == ["raw data changed: own.train"]


@pytest.fixture(scope="module")
def holding_contract(project: Project, other_byte: Done) -> Done:
    project.write_recipe("small", changed("data", to=OWN | {"contract": rows(at_least=10)}))
    return project.run().succeeded()


def rows(at_least: int) -> list[dict[str, Any]]:
    return [{"expect_table_row_count_to_be_between": {"min_value": at_least}}]


def test_another_contract_that_holds_is_checked_and_nothing_is_trained(holding_contract: Done) -> None:
    # Samples are split by its report. What comes out is the same.
    holding_contract.ran("check_contract", "hold_out")


@pytest.fixture(scope="module")
def broken_contract(project: Project, holding_contract: Done) -> tuple[Done, Done]:
    """Two runs of a contract that the data breaks."""
    project.write_recipe("small", changed("data", to=OWN | {"contract": rows(at_least=10_000)}))
    return project.run().failed(), project.run().failed()


def test_a_contract_that_failed_is_checked_again_and_fails_again(broken_contract: tuple[Done, Done]) -> None:
    first, again = broken_contract
    assert first.nodes == again.nodes == ["check_contract"]
    for done in broken_contract:
        assert "The data breaks its contract" in done.text
    assert again.planned("run") == {"the contract did not hold": ["check_contract"]}
