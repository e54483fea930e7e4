"""What does not apply to trees is refused when the recipe is read, with what does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from thresher.errors import Problem

Problems = Callable[..., list[Problem]]
TREES = {
    "data": {"modality": "tabular", "train": "mine.train", "test": "mine.test"},
    "model": {"kind": "boosted_trees"},
}


@pytest.mark.parametrize("setting", [{"epochs": 3}, {"optimizer": {"kind": "sgd"}}, {"best_by": "accuracy"}])
def test_settings_of_a_networks_training_are_refused(problems_with: Problems, setting: dict[str, Any]) -> None:
    (problem,) = problems_with(**TREES, training=setting)
    assert problem.where.endswith(f"training.{next(iter(setting))}")
    assert problem.fix == "Leave it out: of training it has seed, class_weights, execution, search."


def test_of_execution_trees_have_the_threads(problems_with: Problems) -> None:
    (problem,) = problems_with(**TREES, training={"execution": {"compile": True, "threads": 1}})
    assert problem.where.endswith("training.execution.compile") and problem.fix.endswith("of execution it has threads.")


def test_a_technique_for_networks_is_no_student_that_the_training_could_be_of(problems_with: Problems) -> None:
    problems = problems_with(**TREES, training={"epochs": 3}, candidates={"smaller": [{"kind": "finetune"}]})
    assert {each.where.split(" ", 1)[1] for each in problems} == {"training.epochs", "candidates.smaller.steps.0"}


def test_a_search_is_over_settings_of_the_trees(problems_with: Problems) -> None:
    space = {"model.max_iter": [10, 20], "training.class_weights": [None, "balanced"], "training.epochs": [1, 2]}
    epochs, place = problems_with(**TREES, training={"search": {"space": space, "epochs": 2}})
    assert epochs.where.endswith("training.search.epochs")
    assert place.where.endswith("space.training.epochs") and "model.max_leaf_nodes" in place.fix
    (value,) = problems_with(**TREES, training={"search": {"space": {"model.max_bins": [10, 1000]}}})
    assert value.where.endswith("space.model.max_bins") and "1000 is not possible" in value.what


@pytest.mark.parametrize(
    ("step", "what"),
    [
        ({"kind": "prune_channels", "ratio": 0.5}, "is no network, which could be trained on or pruned"),
        ({"kind": "finetune"}, "is no network, which could be trained on or pruned"),
        ({"kind": "quantize_static"}, "has no weights that could be stored in fewer bits"),
        ({"kind": "half"}, "has no weights that could be stored in fewer bits"),
    ],
    ids=lambda given: given["kind"] if isinstance(given, dict) else "",
)
def test_techniques_for_layers_are_refused(problems_with: Problems, step: dict[str, Any], what: str) -> None:
    (problem,) = problems_with(**TREES, candidates={"smaller": [step]})
    assert (
        problem.where.endswith("candidates.smaller.steps.0")
        and problem.what == f"{step['kind']}: a boosted_trees {what}"
    )


def test_a_search_for_a_chain_is_refused(problems_with: Problems) -> None:
    search = {"budget": {"accuracy_drop": 0.01}, "minimize": "size_bytes"}
    (problem,) = problems_with(**TREES, candidates={"found": {"search": search}})
    assert problem.where.endswith("candidates.found.search") and "is no network" in problem.what


def test_a_student_takes_what_networks_take(problems_with: Problems) -> None:
    student = {"kind": "distill", "student": {"kind": "mlp"}}
    sound = {"taught": [student, {"kind": "prune_channels", "ratio": 0.5}, {"kind": "finetune", "distill": {}}]}
    sound["int8"] = {"from": "taught", "steps": [{"kind": "quantize_dynamic"}]}
    search = {"from": "taught", "search": {"budget": {"accuracy_drop": 0.01}}}
    training = {"epochs": 3, "optimizer": {"kind": "sgd"}, "learning_rate": "auto"}
    (problem,) = problems_with(**TREES, training=training, candidates={**sound, "found": search})
    assert problem.where.endswith("training.learning_rate")
    between = [{"kind": "finetune"}, student, {"kind": "finetune", "distill": {"hidden": 1.0}}]
    first, hidden = problems_with(**TREES, candidates={"taught": between})
    assert "put distill with a student before it" in first.fix
    assert hidden.where.endswith("steps.2.distill.hidden")


def test_trees_take_tables_and_are_no_student(problems_with: Problems) -> None:
    (problem,) = problems_with(model={"kind": "boosted_trees"})
    assert problem.what == "model boosted_trees takes tabular, and data.modality is image"
    student = {"kind": "distill", "student": {"kind": "boosted_trees"}}
    (problem,) = problems_with(data=TREES["data"], model={"kind": "mlp"}, candidates={"small": [student]})
    assert problem.where.endswith("student.kind") and "mlp" in problem.fix
