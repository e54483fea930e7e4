"""A broken recipe is told all its problems at once, each with its place, what was given and what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from thresher.errors import DataError, Problem, RecipeError
from thresher.kinds.built_in import MODELS, TECHNIQUES
from thresher.kinds.record import Kind
from thresher.recipe.reading import find_recipe, find_recipe_files, read_recipe

ALL_WRONG = """\
task: clasification
data:
  modality: image
  train: clothes.train
  validaton: 0.1
  contract:
    - expect_column_values_to_be_betwen: {column: label, min_value: 0}
model: {kind: lenett}
training:
  optimizer:
    kind: adam
    lr: 0
    momentun: 0.9
  epochs: ten
  batch_size: half
candidates:
  float: [{kind: finetune}]
  Half:
    - {kind: prune_channels, ratio: 0.5}
  int8:
    - {kind: quantize_static}
    - {kind: finetune}
  late:
    from: int8
    steps:
      - {kind: prune_weights, sparsity: 0.5}
  lost:
    from: lat
    steps: [{kind: finetune}]
  broken:
    - {kind: prune_channels, ratio: 2,
       scop: layer}
    - {kind: quantise_static}
    - {ratio: 0.5}
  hen:
    from: egg
    steps: [{kind: finetune}]
  egg:
    from: hen
    steps: [{kind: finetune}]
  empty: []
evaluation: {batch_sizes: [1, 8]}
selection:
  minimize: accuracy
  require:
    latency_ms_p50_batch32: {at_most: 1}
    size_bytes: {at_most: 5, confidence: 0.9}
    accuracy_drop: {at_most: 1, at_least: 0}
serving: {max_batch: 3}
"""


def kinds_of(kinds: Iterable[Kind]) -> str:
    """Return what an error lists as allowed."""
    return ", ".join(sorted(kind.name for kind in kinds))


MODEL_KINDS, CANDIDATE_KINDS = kinds_of(MODELS), kinds_of(TECHNIQUES)
NAME_RULE = "Names are lower-case letters, digits and _, start with a letter, at most 63 long."
FINETUNE = {"kind": "finetune"}
EXPECTED = {
    ":1 task": (
        "'clasification' is not allowed",
        "Did you mean 'classification'? Allowed: classification, regression.",
    ),
    ":2 data.test": ("'test' is missing", "It has no default; every recipe must give it."),
    ":5 data.validaton": (
        "unknown key 'validaton'",
        "Did you mean 'validation'? "
        "Allowed: contract, corruptions, encoding, modality, test, tests, train, validation.",
    ),
    ":8 model.kind": ("unknown kind 'lenett'", f"Did you mean 'lenet'? Allowed: {MODEL_KINDS}."),
    ":12 training.optimizer.lr": ("0 given", "Allowed: a number greater than 0 and of at most 10."),
    ":13 training.optimizer.momentun": ("unknown key 'momentun'", "Allowed: betas, kind, lr, weight_decay."),
    ":14 training.epochs": (
        "'ten' given",
        "Allowed: a whole number of at least 1 and of at most 100,000. What it means: Passes over the training split.",
    ),
    ":15 training.batch_size": (
        "'half' given",
        "Allowed: a whole number of at least 1. Or: Allowed: full.",
    ),
    ":17 candidates.float": ("this name is taken by the unpruned model", "Rename it."),
    ":18 candidates.Half": ("'Half' is not a name", NAME_RULE),
    ":22 candidates.int8.steps.1": (
        "finetune cannot follow quantize_static",
        "quantize_static ends a chain: put finetune before quantize_static.",
    ),
    ":26 candidates.late.steps.0": (
        "prune_weights cannot follow quantize_static of 'int8'",
        "quantize_static ends a chain: put prune_weights before quantize_static of 'int8'.",
    ),
    ":28 candidates.lost.from": (
        "there is no candidate 'lat'",
        "Did you mean 'late'? Allowed: Half, broken, egg, empty, float, hen, int8, late.",
    ),
    ":31 candidates.broken.steps.0.ratio": (
        "2 given",
        "Allowed: a number of at least 0 and less than 1. What it means: Share of",
    ),
    ":32 candidates.broken.steps.0.scop": (
        "unknown key 'scop'",
        "Did you mean 'scope'? Allowed: between, importance, iterations, kind, ratio, ratios, round_to, scope.",
    ),
    ":33 candidates.broken.steps.1.kind": (
        "unknown kind 'quantise_static'",
        f"Did you mean 'quantize_static'? Allowed: {CANDIDATE_KINDS}.",
    ),
    ":34 candidates.broken.steps.2": ("'kind' is missing in {'ratio': 0.5}", "Write it as {kind: NAME, ...}."),
    ":36 candidates.hen.from": ("forms a cycle: hen -> egg -> hen", "Start one of them from float."),
    ":39 candidates.egg.from": ("forms a cycle: egg -> hen -> egg", "Start one of them from float."),
    ":41 candidates.empty": ("give one of steps and search", ""),
    ":46 selection.require.latency_ms_p50_batch32": (
        "'latency_ms_p50_batch32' is not measured",
        "latency_ms_p50_batch8",
    ),
    ":47 selection.require.size_bytes.confidence": (
        "size_bytes has no interval",
        "Only these have: accuracy, accuracy_drop, balanced_accuracy, log_loss, speedup, speedup_batch1",
    ),
    ":48 selection.require.accuracy_drop": ("give one of at_most and at_least", ""),
    ":49 serving.max_batch": (
        "unknown key 'max_batch'",
        "Did you mean 'max_batch_size'? Allowed: example, max_batch_size, max_latency_ms, shadow, timeout_ms, workers.",
    ),
}


@pytest.fixture
def all_problems(problems_of: Callable[[str], list[Problem]]) -> dict[str, Problem]:
    return {problem.where.removeprefix("pipelines/clothes.yml"): problem for problem in problems_of(ALL_WRONG)}


@pytest.mark.parametrize("place", EXPECTED)
def test_every_problem_says_where_what_was_given_and_what_is_allowed(
    place: str, all_problems: dict[str, Problem]
) -> None:
    what, fix = EXPECTED[place]
    assert all_problems[place].what == what
    assert fix in all_problems[place].fix


def test_the_contract_and_the_minimized_metric_are_checked_too(all_problems: dict[str, Problem]) -> None:
    assert "Did you mean 'expect_column_values_to_be_between'?" in all_problems[":7 data.contract.0"].what
    minimize = all_problems[":44 selection.minimize"]
    assert minimize.what == "'accuracy' is better the more there is of it"
    assert "Did you mean 'accuracy_drop'?" in minimize.fix


def test_all_problems_are_told_at_once_in_the_order_of_the_file(
    problems_of: Callable[[str], list[Problem]], all_problems: dict[str, Problem]
) -> None:
    problems = problems_of(ALL_WRONG)
    lines = [int(problem.where.split(":")[1].split()[0]) for problem in problems]
    assert lines == sorted(lines)
    assert set(all_problems) == {*EXPECTED, ":7 data.contract.0", ":44 selection.minimize"}
    assert len(problems) == len(all_problems), "a problem is told twice"


@pytest.mark.parametrize(
    ("sections", "place", "what"),
    [
        ({"training": {"batch_size": 0}}, "training.batch_size", "0 given"),
        ({"training": {"batch_size": -1}}, "training.batch_size", "-1 given"),
        ({"training": {"epochs": 0}}, "training.epochs", "0 given"),
        ({"training": {"device": "gpu"}}, "training.device", "'gpu' is not allowed"),
        ({"training": {"seed": -1}}, "training.seed", "-1 given"),
        (
            {"training": {"optimizer": {"kind": "sgd", "nesterov": True}}},
            "training.optimizer",
            "nesterov needs a momentum above 0",
        ),
        ({"training": {"optimizer": {"kind": "adam", "betas": [0.9, 1]}}}, "training.optimizer.betas.1", "1 given"),
        ({"training": {"optimizer": {"kind": "sgd", "lr": float("nan")}}}, "training.optimizer.lr", "nan given"),
        (
            {"training": {"optimizer": {"kind": "adamw", "weight_decay": float("inf")}}},
            "training.optimizer.weight_decay",
            "inf given",
        ),
        ({"model": {"kind": "cnn", "channels": []}}, "model.channels", "[] given"),
        ({"model": {"kind": "cnn", "channels": [8, 0]}}, "model.channels.1", "0 given"),
        ({"model": "lenet"}, "model", "'lenet' given"),
        ({"candidates": {"half": None}}, "candidates.half", "None given"),
        ({"candidates": {"half": {"from": "half", "steps": [FINETUNE]}}}, "candidates.half.from",
         "forms a cycle: half -> half"),
        ({"candidates": {1: [FINETUNE]}}, "candidates.1", "1 given"),
        ({"candidates": {"a" * 64: [FINETUNE]}}, f"candidates.{'a' * 64}", f"'{'a' * 64}' is not a name"),
        ({"candidates": {"int8": [{"kind": "quantize_static"}, {"kind": "quantize_dynamic"}]}},
         "candidates.int8.steps.1", "quantize_dynamic cannot follow quantize_static"),
        ({"evaluation": {"batch_sizes": [1, 1]}}, "evaluation.batch_sizes", "a batch size is named twice"),
        ({"evaluation": {"batch_sizes": [1, 0]}}, "evaluation.batch_sizes.1", "0 given"),
        ({"selection": {"minimize": "latency"}}, "selection.minimize", "'latency' is not measured"),
        ({"selection": {"minimize": "latency_ms_p50_batch64"}}, "selection.minimize",
         "'latency_ms_p50_batch64' is not measured"),
        ({"selection": {"require": {"speed": {"at_most": 1}}}}, "selection.require.speed", "'speed' is not measured"),
        ({"selection": {"require": {"macs": {"at_most": float("nan")}}}}, "selection.require.macs.at_most",
         "nan given"),
        ({"selection": {"require": {"macs": {}}}}, "selection.require.macs", "give one of at_most and at_least"),
        ({"selection": {"require": {"speedup": {"at_least": 1, "confidence": 0.5}}}},
         "selection.require.speedup.confidence", "0.5 given"),
    ],
)  # fmt: skip
def test_one_wrong_value_is_one_problem(
    sections: dict[str, Any], place: str, what: str, problems_with: Callable[..., list[Problem]]
) -> None:
    (problem,) = problems_with(**sections)
    assert (problem.where.split(" ", 1)[1], problem.what) == (place, what)


def test_a_chain_is_judged_through_several_candidates(problems_with: Callable[..., list[Problem]]) -> None:
    finetuned = {"from": "base", "steps": [FINETUNE]}
    candidates = {"base": [{"kind": "quantize_static"}], "middle": finetuned, "last": {**finetuned, "from": "middle"}}
    assert [problem.what for problem in problems_with(candidates=candidates)] == [
        "finetune cannot follow quantize_static of 'base'"
    ] * 2


@pytest.mark.parametrize(
    ("sections", "place", "fix"),
    [
        ({"decision": {"class": 8, "threshold": 0.3}}, "decision.class",
         "Allowed: text. YAML reads this as no text: write it in quotes."),
        ({"decision": {"class": "8", "threshold": 1.0}}, "decision.threshold",
         "Allowed: a number greater than 0 and less than 1, or null."),
        ({"decision": {"class": "8", "choose": {"kind": "cost", "missed": 0, "false_alarm": 1}}},
         "decision.choose.missed", "Allowed: a number greater than 0."),
        ({"training": {"search": {"space": {"training.batch_size": [32]}}}},
         "training.search.space.training.batch_size.choices", "Allowed: 2 of them or more."),
        ({"training": {"search": {"space": {"training.batch_size": {"low": "x", "high": 64}}}}},
         "training.search.space.training.batch_size.low", "Allowed: a whole number. Or: Allowed: a number."),
    ],
)  # fmt: skip
def test_what_is_allowed_is_that_of_the_innermost_setting(
    sections: dict[str, Any], place: str, fix: str, problems_with: Callable[..., list[Problem]]
) -> None:
    (problem,) = problems_with(**sections)
    assert problem.where.split(" ", 1)[1] == place and problem.fix.startswith(fix)


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("task: classification\ntask: regression\n", ":2", "the key 'task' appears twice (first in line 1)"),
        ("model:\n  kind: lenet\n  kind: cnn\n", ":3", "the key 'kind' appears twice (first in line 2)"),
        ("task: [classification\n", ":2", "expected ',' or ']'"),
        ("task: a: b\n", ":1", "mapping values are not allowed here"),
        ("task: !!python/name:os.system x\n", ":1", "could not determine a constructor"),
        ("", "", "a recipe is a mapping"),
        ("# nothing but a comment\n", "", "a recipe is a mapping"),
        ("- task\n", "", "a recipe is a mapping"),
        ("task\n", "", "a recipe is a mapping"),
        ("description: 2024-99-99\n", "", "cannot be read: month must be in 1..12"),
        ("description: &a [*a]\n", "", "nested too deep, or an alias that holds itself"),
        (f"description: {'[' * 1500}\n", "", "nested too deep, or an alias that holds itself"),
    ],
)
def test_a_file_that_is_no_recipe_is_told_where_it_goes_wrong(
    text: str, where: str, what: str, problems_of: Callable[[str], list[Problem]]
) -> None:
    (problem,) = problems_of(text)
    assert problem.where == f"pipelines/clothes.yml{where}"
    assert what in problem.what
    assert problem.fix or "cannot be read" in problem.what


@pytest.mark.parametrize(
    ("metric", "bound", "what"),
    [
        ("roc_auc", {"at_least": 7}, "at_least: 7, which no model can keep"),
        ("accuracy", {"at_least": 95}, "at_least: 95, which no model can keep"),
        ("accuracy_drop", {"at_most": 5}, "at_most: 5, which every model does keep"),
        ("recall[a]_drop", {"at_most": -2}, "at_most: -2, which no model can keep"),
        ("brier", {"at_most": -0.1}, "at_most: -0.1, which no model can keep"),
        ("size_bytes", {"at_most": -1}, "at_most: -1, which no model can keep"),
        ("mcc", {"at_least": -1.5}, "at_least: -1.5, which every model does keep"),
    ],
)
def test_a_bound_that_no_model_or_every_model_keeps_is_refused(
    metric: str, bound: dict[str, float], what: str, problems_with: Callable[..., list[Problem]]
) -> None:
    (problem,) = problems_with(selection={"require": {metric: bound}})
    assert problem.what == what and problem.fix.startswith("It is ")
    (problem,) = problems_with(selection={"slices": {"by": ["label"], "require": {metric: bound}}})[:1]
    assert problem.what == what or "is not measured on parts" in problem.what


def test_a_file_that_is_not_text_is_told_so(write: Callable[[str], Path]) -> None:
    path = write("")
    path.write_bytes(b"task: \xff\n")
    with pytest.raises(RecipeError, match=r"pipelines/clothes\.yml: cannot be read: .*utf-8"):
        read_recipe(path)


@pytest.mark.parametrize("name", ["Clothes", "1clothes", "my-clothes", "a" * 64])
def test_a_file_whose_name_cannot_name_a_pipeline_is_refused(name: str, write: Callable[..., Path]) -> None:
    with pytest.raises(RecipeError, match=f"'{name}' cannot name a pipeline"):
        read_recipe(write("task: classification", name))


def test_recipes_are_found_in_the_order_of_their_names(tmp_path: Path, write: Callable[..., Path]) -> None:
    files = {name: write("", name) for name in ("b", "a")}
    (tmp_path / "pipelines" / "notes.txt").write_text("no recipe")
    assert list(find_recipe_files(tmp_path).items()) == [("a", files["a"]), ("b", files["b"])]


def test_a_recipe_that_is_not_there_is_answered_with_the_nearest(tmp_path: Path, write: Callable[..., Path]) -> None:
    path = write("", "digits")
    assert find_recipe("digits", tmp_path) == find_recipe(str(path), tmp_path) == path
    with pytest.raises(DataError, match=r"no recipe 'digit' in pipelines/. Did you mean 'digits'\? Allowed: digits\."):
        find_recipe("digit", tmp_path)
