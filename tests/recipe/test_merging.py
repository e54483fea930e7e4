"""Overlays change what they name and leave the rest."""

from __future__ import annotations

from typing import Any

import pytest

from thresher.recipe.merging import merge

BASE = {"training": {"epochs": 10, "optimizer": {"kind": "adam", "lr": 0.1}}, "sizes": [1, 2], "note": None}


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ({}, {}),
        ({"training": {"epochs": 3}}, {"training": {"epochs": 3, "optimizer": {"kind": "adam", "lr": 0.1}}}),
        ({"training": {"optimizer": {"lr": 1}}}, {"training": {"epochs": 10, "optimizer": {"kind": "adam", "lr": 1}}}),
        (
            {"training": {"optimizer": {"kind": "adam", "betas": [0, 0]}}},
            {"training": {"epochs": 10, "optimizer": {"kind": "adam", "lr": 0.1, "betas": [0, 0]}}},
        ),
        (
            {"training": {"optimizer": {"kind": "sgd"}}},
            {"training": {"epochs": 10, "optimizer": {"kind": "sgd"}}},
        ),
        ({"sizes": [3]}, {"sizes": [3]}),
        ({"training": 3}, {"training": 3}),
        ({"note": {"a": 1}}, {"note": {"a": 1}}),
        ({"new": {"a": 1}}, {"new": {"a": 1}}),
    ],
    ids=[
        "nothing",
        "a value",
        "deeper",
        "same kind",
        "other kind",
        "list",
        "mapping by value",
        "value by mapping",
        "new",
    ],
)
def test_an_overlay_changes_what_it_names(overlay: dict[str, Any], expected: dict[str, Any]) -> None:
    assert merge(BASE, overlay) == {**BASE, **expected}


def test_neither_base_nor_overlay_is_changed() -> None:
    base, overlay = {"a": {"b": 1}}, {"a": {"c": {"d": 2}}}
    merge(base, overlay)["a"]["c"] = 5
    assert (base, overlay) == ({"a": {"b": 1}}, {"a": {"c": {"d": 2}}})
