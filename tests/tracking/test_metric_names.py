"""MLflow takes every name of a metric, and gives it back."""

from __future__ import annotations

import pytest
from mlflow.utils.validation import _validate_metric_name

from thresher.tracking.metric_names import from_mlflow, to_mlflow


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("accuracy_drop", "accuracy_drop"),
        ("latency_ms_p50_batch32", "latency_ms_p50_batch32"),
        ("recall[spam]", "recall:spam"),
        ("recall[spam]_drop", "recall_drop:spam"),
        ("pinball[0.9]_increase", "pinball_increase:0.9"),
        ("recall[R&B]", "recall:R:26:B"),
        ("recall[[a]:1f:/]", "recall::5b:a:5d::3a:1f:3a::2f:"),
        ("recall[\u00e9 \u00df]", "recall:\u00e9 \u00df"),
    ],
)
def test_a_name_goes_there_and_back(name: str, there: str) -> None:
    assert to_mlflow(name) == there
    assert from_mlflow(there) == name
    _validate_metric_name(there)
