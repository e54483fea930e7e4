"""A line for each node that is done: what failed is marked, and its reason said once."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from kedro.pipeline import Pipeline, node

from thresher.candidate_failure import CandidateFailure, inherited
from thresher.hooks.console import console
from thresher.hooks.progress import ProgressHooks
from thresher.serving.core.bundle import Bundle, ModelInfo

EMPTY = CandidateFailure(
    candidate="empty", step="compress_network", reason="prune_channels would leave fc1 none of [16]"
)
AFTER = inherited("after_empty", EMPTY)
LAST = inherited("last", AFTER)


@pytest.fixture
def hooks() -> ProgressHooks:
    return ProgressHooks()


def lines_of(hooks: ProgressHooks, monkeypatch: pytest.MonkeyPatch, done: dict[str, tuple[Any, ...]]) -> list[str]:
    """Return what is printed of nodes with these names and outputs, without the seconds."""
    file = io.StringIO()
    monkeypatch.setattr(console, "_file", file)
    for name, outputs in done.items():
        names = [f"shirts.{name}.{place}" for place in range(len(outputs))]
        done_node = node(len, "shirts.data", names, name=name)
        hooks.before_node_run(done_node)
        hooks.after_node_run(done_node, dict(zip(names, outputs, strict=True)))
    return [re.sub(r" \d+\.\d s", "", line).rstrip() for line in file.getvalue().splitlines()]


def test_a_reason_stands_beside_the_node_that_failed_and_nowhere_else(
    hooks: ProgressHooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = {
        "float.export_network": (b"a file",),
        "empty.compress_network": (EMPTY,),
        "empty.export_network": (EMPTY,),
        "half.predict_test": (np.zeros(1),),
        "after_empty.quantize_onnx": (AFTER,),
        "empty.predict_test": (EMPTY,),
        "after_empty.predict_test": (AFTER,),
        "last.quantize_onnx": (LAST,),
    }
    assert lines_of(hooks, monkeypatch, done) == [
        "✓ float.export_network",
        f"✗ empty.compress_network  empty failed: {EMPTY.reason}",
        "– empty.export_network",
        "✓ half.predict_test",
        "– after_empty.quantize_onnx  empty failed",
        "– empty.predict_test",
        "– after_empty.predict_test",
        "– last.quantize_onnx  after_empty failed: empty failed",
    ]


def test_several_results_of_one_failed_search_are_one_failure(
    hooks: ProgressHooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = CandidateFailure(candidate="best", step="search_chain", reason="none of 5 chains keeps the budget")
    done = {"best.search_chain": (failed, failed, failed), "best.compress_network": (failed,)}
    assert lines_of(hooks, monkeypatch, done) == [
        "✗ best.search_chain  best failed: none of 5 chains keeps the budget",
        "– best.compress_network",
    ]


def test_a_failure_from_an_earlier_run_is_told_by_the_first_node_that_meets_it(
    hooks: ProgressHooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = {"after_empty.predict_test": (AFTER,), "after_empty.evaluate_candidate": (AFTER,)}
    assert lines_of(hooks, monkeypatch, done) == [
        f"✗ after_empty.predict_test  after_empty failed: {AFTER.reason}",
        "– after_empty.evaluate_candidate",
    ]


def test_the_next_run_tells_its_failures_again(hooks: ProgressHooks, monkeypatch: pytest.MonkeyPatch) -> None:
    done = {"empty.compress_network": (EMPTY,)}
    first = lines_of(hooks, monkeypatch, done)
    hooks.before_pipeline_run(Pipeline([node(len, "shirts.data", "shirts.size", name="size")]))
    hooks.on_pipeline_error()
    assert lines_of(hooks, monkeypatch, done) == first


@pytest.mark.parametrize(
    ("version", "says"), [("3", "version 3 stays, candidate half"), ("", "candidate half is registered")]
)
def test_who_is_crowned_is_said(version: str, says: str, hooks: ProgressHooks, monkeypatch: pytest.MonkeyPatch) -> None:
    info = ModelInfo(
        recipe="shirts", candidate="half", model_version=version, mlflow_run_id="", data_hash="d", git_commit="c",
        created=datetime.now(UTC), threads=1, max_batch_size=1, max_latency_ms=1,
    )  # fmt: skip
    encoder: Any = None  # of which a line says nothing
    bundle = Bundle(b"", encoder, info)
    assert lines_of(hooks, monkeypatch, {"crown_champion": (bundle,)}) == [f"✓ crown_champion  {says}"]
