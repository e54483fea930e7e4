"""The command that is logged selects the same nodes again."""

from __future__ import annotations

import pytest
from kedro.pipeline import Pipeline, node

from thresher.errors import ThresherError
from thresher.hooks.tracking import describe_selection, recipe_of


def test_plain_run() -> None:
    assert describe_selection({"pipeline_names": [], "env": None, "tags": (), "runtime_params": {}}) == "kedro run"


def test_every_option() -> None:
    given = {
        "pipeline_names": ["small"],
        "env": "gpu",
        "tags": ("half", "int8"),
        "node_names": ("small.train_float",),
        "from_nodes": ["small.a", "small.b"],
        "to_nodes": ["small.c"],
        "runtime_params": {"small": {"training": {"epochs": 1, "optimizer": {"lr": 0.5}}}},
    }
    assert describe_selection(given) == (
        "kedro run --pipelines small --env gpu --tags half,int8 --nodes small.train_float "
        "--from-nodes small.a,small.b --to-nodes small.c "
        "--params small.training.epochs=1,small.training.optimizer.lr=0.5"
    )


def make_pipeline(*names: str) -> Pipeline:
    return Pipeline([node(len, name, f"{name}.out", name="work", namespace=name) for name in names])


def test_recipe_of_a_pipeline() -> None:
    assert recipe_of(make_pipeline("small")) == "small"
    with pytest.raises(ThresherError, match="this one names digits and small"):
        recipe_of(make_pipeline("small", "digits"))
