"""The one reason that is given for a change, in words."""

from __future__ import annotations

from typing import Any

import pytest

from thresher.caching.fingerprints import ABSENT
from thresher.caching.invalidation import changed_datasets, changed_dependency, changed_output, own_name
from thresher.caching.records import Dependencies, Record


def depends(**parts: Any) -> Dependencies:
    return Dependencies(**{"code": {}, "parameters": {}, "versions": {}, "machine": {}, "raw": {}} | parts)


def record_of(inputs: list[str], outputs: dict[str, str | None]) -> Record:
    return Record(
        node="f", dependencies=depends(), inputs=dict.fromkeys(inputs, "1"), outputs=outputs,
        run_id="1", experiment_id="1", made_at="2026-01-01T00:00:00+00:00", seconds=1, machine={},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ({}, {}, ""),
        ({"raw": {"digits.train": "1"}}, {"raw": {"digits.train": "2"}}, "raw data changed: digits.train"),
        ({}, {"raw": {"digits.train": ABSENT}}, "raw data changed: digits.train"),
        ({"code": {"thresher/a.py": "1"}}, {"code": {"thresher/a.py": "2"}}, "thresher/a.py changed"),
        ({"code": {"mine/a.json": "1"}}, {"code": {}}, "mine/a.json changed"),
        ({"parameters": {"training.lr": 0.1}}, {"parameters": {"training.lr": 0.2}}, "training.lr 0.1 -> 0.2"),
        ({"parameters": {"a": 1}}, {"parameters": {}}, "a 1 -> none"),
        ({"parameters": {}}, {"parameters": {"a": []}}, "a none -> []"),
        ({"parameters": {"a": None}}, {"parameters": {"a": 0}}, "a none -> 0"),
        ({"parameters": {"": 1}}, {"parameters": {"": 2}}, "parameters 1 -> 2"),
        ({"parameters": {"a": 1}}, {"parameters": {"a": 1.5}}, "a 1 -> 1.5"),
        ({"versions": {"torch": "1"}}, {"versions": {"torch": "2"}}, "torch 1 -> 2"),
        ({"versions": {}}, {"versions": {"torch": "2"}}, "torch none -> 2"),
        ({"files": {"src/thresher/a.py": "1"}}, {"files": {"src/thresher/a.py": "2"}}, "a.py changed"),
        ({"files": {"bentofile.yaml": "1"}}, {"files": {}}, "bentofile.yaml changed"),
        ({"parameters": {"a": 1, "b": 1}}, {"parameters": {"a": 2, "b": 2}}, "a 1 -> 2 and 1 more"),
        ({"machine": {"cores": "2"}}, {"machine": {"cores": "4"}}, "another machine: cores 2 -> 4"),
    ],
)  # fmt: skip
def test_a_changed_dependency_is_named(old: dict[str, Any], new: dict[str, Any], reason: str) -> None:
    assert changed_dependency(depends(**old), depends(**new)) == reason


def test_raw_data_comes_first_then_code_parameters_versions_files_and_the_machine() -> None:
    kinds = ["raw", "code", "parameters", "versions", "files", "machine"]
    words = ["raw data changed: x", "x changed", "x 1 -> 2", "x 1 -> 2", "x changed", "another machine: x 1 -> 2"]
    for first, word in enumerate(words):
        parts = kinds[first:]
        old, new = (depends(**{kind: {"x": value} for kind in parts}) for value in ("1", "2"))
        assert changed_dependency(old, new) == word


def test_the_others_are_counted() -> None:
    old, new = depends(parameters={"a": 1, "b": 1, "c": 1}), depends(parameters={"a": 1, "b": 2, "c": 2, "d": 2})
    assert changed_dependency(old, new) == "b 1 -> 2 and 2 more"


def test_what_changed_itself_is_named_before_what_came_or_went_with_it() -> None:
    old = depends(parameters={"optimizer.momentum": 0.9, "optimizer.kind": "sgd"})
    new = depends(parameters={"optimizer.betas": [0.9, 0.999], "optimizer.kind": "adam"})
    assert changed_dependency(old, new) == "optimizer.kind sgd -> adam and 2 more"


def test_a_long_value_is_cut() -> None:
    reason = changed_dependency(depends(parameters={"a": "x" * 41}), depends(parameters={"a": "y" * 40}))
    assert reason == f"a {'x' * 37}... -> {'y' * 40}"


def test_the_order_of_a_mapping_is_no_change() -> None:
    assert not changed_dependency(depends(parameters={"a": 1, "b": {"c": 1, "d": 2}}),
                                  depends(parameters={"b": {"d": 2, "c": 1}, "a": 1}))  # fmt: skip


@pytest.mark.parametrize(
    ("inputs", "outputs", "reason"),
    [
        (["r.a", "r.b"], ["r.c", "r.d"], ""),
        (["r.a", "r.b", "r.a"], ["r.c", "r.d"], ""),
        (["r.a", "r.b", "r.e"], ["r.c", "r.d"], "e is read now"),
        (["r.e", "raw", "r.b"], ["r.c", "r.d"], "e is read now and 1 more"),
        (["r.b"], ["r.c", "r.d"], "a is read no more"),
        (["r.b", "r.a"], ["r.c", "r.d"], "its inputs stand in another order"),
        (["r.a", "r.b"], ["r.c", "r.d", "r.e"], "e was not made before"),
        (["r.a", "r.b"], ["r.c"], "d is made no more"),
        (["r.a", "r.b"], ["r.d", "r.c"], "its outputs stand in another order"),
    ],
)
def test_other_inputs_and_outputs_are_named(inputs: list[str], outputs: list[str], reason: str) -> None:
    record = record_of(["r.a", "r.b"], {"r.c": "1", "r.d": "1"})
    assert changed_datasets(record, inputs, outputs, "r") == reason


@pytest.mark.parametrize(
    ("left", "now", "reason"),
    [
        ("1", "1", ""),
        ("1", "2", "output network altered"),
        ("1", ABSENT, "output network deleted"),
        (ABSENT, "1", "output network altered"),
        ("1", None, "network is not kept"),
        (None, "1", "network is not kept"),
        (None, None, "network is not kept"),
    ],
)
def test_an_output_that_is_not_as_it_was_left_is_named(left: str | None, now: str | None, reason: str) -> None:
    record = record_of([], {"r.history": "1", "r.network": left})
    assert changed_output(record, {"r.history": "1", "r.network": now}, "r") == reason


def test_a_dataset_is_named_without_its_recipe_alone() -> None:
    assert own_name("digits.float.onnx", "digits") == "float.onnx"
    assert own_name("digits.train", "small") == "digits.train"
    assert own_name("digits2.onnx", "digits") == "digits2.onnx"
