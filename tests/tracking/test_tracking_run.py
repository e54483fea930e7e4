"""What a run says of itself, and that nothing is logged outside of one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.tracking.run import TrackingError, describe_environment, end_run, flatten, run_id

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
