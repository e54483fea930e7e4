"""What is counted is what happened, written once a second and never twice."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from tiny_service import CLASS_NAMES, Caller

from thresher.serving.core.bundle import Bundle
from thresher.serving.monitoring.metrics import FLUSH_SECONDS, Metrics

WHO = {"recipe": "shapes", "model_version": "7"}


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    found = registry.get_sample_value(name, {**WHO, **labels})
    assert found is not None, name
    return found


def test_requests_are_counted_by_protocol_and_outcome(bundle: Bundle) -> None:
    registry = CollectorRegistry()
    metrics = Metrics(bundle, registry)
    for seconds in (0.0004, 0.003, 20.0):
        metrics.count_request("grpc", "ok", seconds)
    metrics.count_request("grpc", "overloaded", 0.0)
    metrics.count_request("rest", "invalid", 0.0)
    for _ in range(2):  # what is written is not written again
        metrics.flush()
        assert value(registry, "thresher_requests_total", protocol="grpc", outcome="ok") == 3
        assert value(registry, "thresher_requests_total", protocol="grpc", outcome="overloaded") == 1
        assert value(registry, "thresher_requests_total", protocol="rest", outcome="invalid") == 1
        assert value(registry, "thresher_requests_total", protocol="v2_rest", outcome="ok") == 0
        assert value(registry, "thresher_request_seconds_count", protocol="grpc") == 3
        assert value(registry, "thresher_request_seconds_sum", protocol="grpc") == pytest.approx(20.0034)
        assert value(registry, "thresher_request_seconds_bucket", protocol="grpc", le="0.0005") == 1
        assert value(registry, "thresher_request_seconds_bucket", protocol="grpc", le="10.0") == 2
        assert value(registry, "thresher_request_seconds_bucket", protocol="grpc", le="+Inf") == 3


def test_a_value_on_a_bound_belongs_below_it_as_prometheus_has_it(bundle: Bundle) -> None:
    registry = CollectorRegistry()
    metrics = Metrics(bundle, registry)
    metrics.count_batch(16, 0.001, 0.0025)
    metrics.flush()
    assert value(registry, "thresher_batch_size_bucket", le="16.0") == 1
    assert value(registry, "thresher_batch_size_bucket", le="8.0") == 0
    assert value(registry, "thresher_queue_seconds_bucket", le="0.001") == 1
    assert value(registry, "thresher_run_seconds_bucket", le="0.0025") == 1


def test_predictions_are_counted_by_class(bundle: Bundle) -> None:
    registry = CollectorRegistry()
    metrics = Metrics(bundle, registry)
    metrics.count_answers(np.eye(3, dtype=np.float32)[[0, 1, 1, 2, 1]])
    metrics.count_answers(np.eye(3, dtype=np.float32)[[2]])
    metrics.flush()
    counts = [value(registry, "thresher_predictions_total", label=name) for name in CLASS_NAMES]
    assert counts == [1, 3, 2]


def test_it_writes_by_itself_and_at_the_end(bundle: Bundle) -> None:
    registry = CollectorRegistry()

    async def work() -> None:
        metrics = Metrics(bundle, registry)
        metrics.start()
        metrics.count_request("rest", "ok", 0.01)
        await asyncio.sleep(1.5 * FLUSH_SECONDS)
        assert value(registry, "thresher_requests_total", protocol="rest", outcome="ok") == 1
        metrics.count_request("rest", "ok", 0.01)
        metrics.close()
        assert value(registry, "thresher_requests_total", protocol="rest", outcome="ok") == 2

    asyncio.run(work())


def test_the_service_counts_what_became_of_requests(bundle: Bundle) -> None:
    call = Caller(bundle)
    blank: dict[str, Any] = {"image": [[0] * 6] * 8}
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 1, 8, 6], "data": [0] * 48}
    statuses = [
        call("POST", "/predict", json=blank).status_code,
        call("POST", "/predict", json={"image": 3}).status_code,
        call("POST", "/v2/models/shapes/infer", json={"inputs": [tensor]}).status_code,
        call("POST", "/v2/models/shapes/infer", json={"inputs": []}).status_code,
        call("POST", "/v2/models/other/infer", json={"inputs": [tensor]}).status_code,
    ]
    assert statuses == [200, 422, 200, 400, 404]
    call.predictor.metrics.flush()
    for protocol, outcome, count in (("rest", "ok", 1), ("rest", "invalid", 1), ("v2_rest", "ok", 1)):
        assert value(call.registry, "thresher_requests_total", protocol=protocol, outcome=outcome) == count
    assert value(call.registry, "thresher_requests_total", protocol="v2_rest", outcome="invalid") == 2
    assert value(call.registry, "thresher_batch_size_sum") == 2
    assert isinstance(call.client, httpx.AsyncClient)
    call.runner.close()
