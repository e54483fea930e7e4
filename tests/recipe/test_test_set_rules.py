"""Test sets and corruptions that cannot be are said with their place before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from thresher.errors import Problem

DATA = {"modality": "image", "train": "clothes.train", "test": "clothes.test"}
NOISE = {"kind": "gaussian_noise"}


@pytest.mark.parametrize(
    ("data", "require_on", "expected"),
    [
        ({"corruptions": {"noise": {"kind": "typos"}}}, {}, "typos is for text, and data.modality is image"),
        ({"corruptions": {"noise": {"kind": "noise"}}}, {}, "gaussian_noise"),
        ({"corruptions": {"noise": {**NOISE, "std": 2}}}, {}, "a number greater than 0 and of at most 1"),
        ({"corruptions": {"int8": NOISE}}, {}, "this name is taken by a candidate"),
        ({"corruptions": {"pooled": NOISE}}, {}, "this name is taken by all test sets together"),
        ({"tests": {"night": "a"}, "corruptions": {"night": NOISE}}, {}, "data.tests has this name, too"),
        ({"corruptions": {"noise": NOISE}}, {"nois": {}}, "there is no test set 'nois'"),
        ({"corruptions": {"noise": NOISE}}, {"noise": {}}, "nothing is required"),
        ({"corruptions": {"noise": NOISE}}, {"pooled": {}}, "no test set of other samples to pool"),
        (
            {"corruptions": {"noise": NOISE}},
            {"noise": {"size_bytes": {"at_most": 5}}},
            "'size_bytes' is not measured",
        ),
        (
            {"corruptions": {"noise": NOISE}},
            {"noise": {"rmse_increase": {"at_most": 5}}},
            "'rmse_increase' is not measured in a classification",
        ),
        ({}, {"noise": {"accuracy_drop": {"at_most": 0.1}}}, "there is no test set 'noise'"),
    ],
)
def test_what_cannot_be_is_said(
    problems_with: Callable[..., list[Problem]], data: dict[str, Any], require_on: dict[str, Any], expected: str
) -> None:
    candidates = {"int8": [{"kind": "quantize_static"}]}
    found = problems_with(
        data={**DATA, **data}, candidates=candidates, selection={"minimize": "size_bytes", "require_on": require_on}
    )
    (problem,) = found
    assert expected in str(problem)


def test_dropped_steps_are_not_for_an_encoder_that_refuses_missing_values(
    problems_with: Callable[..., list[Problem]],
) -> None:
    data = {**DATA, "modality": "series", "encoding": {"missing": "refuse"}}
    data["corruptions"] = {"silent": {"kind": "dropped_samples"}}
    (problem,) = problems_with(data=data, model={"kind": "cnn1d"})
    assert "which data.encoding.missing refuses" in problem.what
