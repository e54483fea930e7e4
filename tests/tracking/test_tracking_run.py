"""What a run says of itself, and that nothing is logged outside of one."""

from __future__ import annotations

import re
from pathlib import Path

import mlflow
import pytest
from helpers.struck import terminated_at
from hypothesis import given
from hypothesis import strategies as st
from mlflow.entities import Param
from mlflow.utils import validation

from thresher.interruption import TerminatedError
from thresher.tracking.parameters import MAX_IN_A_CALL, MAX_NAME, MAX_VALUE, as_parameters, flatten, in_batches
from thresher.tracking.run import describe_environment, end_run, start_run
from thresher.tracking.run_context import TrackingError, run_id
from thresher.tracking.settings import TrackingSettings

LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=3)
NESTED = st.recursive(LEAVES, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3))


def test_flatten_names_every_leaf_by_its_place() -> None:
    recipe = {
        "training": {"optimizer": {"kind": "adam"}, "betas": [0.9, 0.999]},
        "candidates": {"half": {"steps": [{"kind": "prune_channels"}, {"kind": "finetune", "lr": None}]}},
        "empty": {},
        "none": [],
        7: "number",
    }
    assert flatten(recipe) == {
        "training.optimizer.kind": "adam",
        "training.betas": [0.9, 0.999],
        "candidates.half.steps.0.kind": "prune_channels",
        "candidates.half.steps.1.kind": "finetune",
        "candidates.half.steps.1.lr": None,
        "empty": {},
        "none": [],
        "7": "number",
    }
    assert flatten({}) == {"": {}}


@given(NESTED)
def test_flatten_loses_no_leaf(values: object) -> None:
    for place, leaf in flatten({"top": values}).items():
        found: object = {"top": values}
        for key in place.split("."):
            assert isinstance(found, dict)
            found = found[key]
        assert found == leaf


@pytest.mark.oddity(
    "Recipes and catalog",
    "keys and values that MLflow takes in no parameter",
    "The run has them, written as it takes them",
)
def test_mlflow_takes_all_that_a_recipe_says(tmp_path: Path) -> None:
    recipe = {
        "ratios": {
            "fc*": 0.5,
            "fc?": 0.6,
            "a/b": 1,
            "/": 2,
            "..": 3,
            "": 4,
            "naïve: yes": 5,
            "tab\there": 6,
            "a\nb": 7,
        },
        "long": {"x" * 300: "y" * 10_000, "x" * 301: "z"},
        "half of a pair": "\ud800",
        "many": {f"layer{number}": number for number in range(250)},
    }
    parameters = as_parameters(recipe)
    assert len(parameters) == len(flatten(recipe))
    assert (parameters["ratios.fc_"], parameters["ratios.naïve_ yes"]) == ("0.5", "5")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    run = client.create_run(client.create_experiment("odd", f"file:{tmp_path}/artifacts")).info.run_id
    for batch in in_batches(parameters):
        client.log_batch(run, params=[Param(name, value) for name, value in batch.items()])
    assert client.get_run(run).data.params == parameters


def test_the_limits_are_mlflows_own() -> None:
    assert (MAX_NAME, MAX_VALUE, MAX_IN_A_CALL) == (
        validation.MAX_ENTITY_KEY_LENGTH,
        validation.MAX_PARAM_VAL_LENGTH,
        validation.MAX_PARAMS_TAGS_PER_BATCH,
    )


def test_environment_is_described_in_words(tmp_path: Path) -> None:
    tags = describe_environment(tmp_path)
    assert tags["git_commit"] == "none"
    assert re.fullmatch(r"[1-9]\d*", tags["machine.cores"])
    assert re.fullmatch(r"2\.\d+\.\d+.*", tags["version.torch"])
    assert all(type(value) is str and value for value in tags.values())


def test_outside_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    with pytest.raises(TrackingError, match="There is no active MLflow run"):
        run_id()
    end_run("FAILED")  # nothing to end, nothing happens


def test_a_run_that_is_terminated_while_it_begins_is_killed(tmp_path: Path, own_mlflow: None) -> None:
    settings = TrackingSettings(
        tracking_uri=f"sqlite:///{tmp_path}/mlflow.db",
        artifact_folder=(tmp_path / "files").as_uri(),
        system_metrics=False,
    )
    with pytest.raises(TerminatedError), terminated_at("INSERT INTO runs "):
        start_run(settings, "small", {}, {})
    begun = run_id()
    end_run("KILLED")
    assert mlflow.get_run(begun).info.status == "KILLED"
