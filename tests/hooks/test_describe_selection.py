"""The command that is logged selects the same nodes again."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from thresher.hooks.tracking import describe_selection
from thresher.pipelines.stage import recipe_of


def test_plain_run() -> None:
    assert describe_selection({"pipeline_names": [], "env": None, "tags": (), "runtime_params": {}}) == "kedro run"


def test_every_option() -> None:
    given = {
        "pipeline_names": ["small"],
        "env": "gpu",
        "tags": ("half", "int8"),
        "node_names": ("train_float",),
        "from_nodes": ["small.a", "small.b"],
        "to_nodes": ["small.c"],
        "runtime_params": {"small": {"training": {"epochs": 1, "optimizer": {"lr": 0.5}}}},
    }
    assert describe_selection(given) == (
        "kedro run --pipelines small --env gpu --tags half,int8 --nodes train_float "
        "--from-nodes small.a,small.b --to-nodes small.c "
        "--params small.training.epochs=1,small.training.optimizer.lr=0.5"
    )


def test_recipe_of_a_pipeline() -> None:
    steps = [node(len, "raw.train", "small.a", name="first"), node(len, "small.a", "small.b", name="second")]
    assert recipe_of(Pipeline(steps)) == "small"
