"""A trace shows where a request's time went, and hangs on the caller's own."""

from __future__ import annotations

import asyncio
import io
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import grpc
import numpy as np
import pytest
from live_service import LiveService
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from PIL import Image
from tiny_grpc import Running, raw_request
from tiny_service import make_info

from thresher.serving.core.bundle import Bundle
from thresher.serving.http.operations import Infer
from thresher.serving.monitoring import tracing

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = {"traceparent": f"00-{TRACE}-{CALLER}-01", "x-request-id": "mine"}
BLANK = {"image": [[0] * 6] * 8}
TENSOR = {"name": "image", "datatype": "UINT8", "shape": [1, 1, 8, 6], "data": [0] * 48}
PARTS = ["decode", "queue", "run"]


@contextmanager
def traced() -> Iterator[Callable[[], tuple[ReadableSpan, ...]]]:
    """Give what ends the tracing of this process and returns the spans that were made."""
    exporter = InMemorySpanExporter()
    tracing.start_tracing(make_info(), exporter)

    def end() -> tuple[ReadableSpan, ...]:
        tracing.stop_tracing()
        return exporter.get_finished_spans()

    try:
        yield end
    finally:
        tracing.stop_tracing()


@pytest.fixture(scope="module")
def service(bundle: Bundle) -> Iterator[LiveService]:
    service = LiveService(bundle)
    yield service
    service.close()


def check(spans: tuple[ReadableSpan, ...], name: str) -> ReadableSpan:
    """Return the one request's span, on the caller's trace, with its three parts one after the other inside of it."""
    (root,) = [span for span in spans if span.kind is SpanKind.SERVER]
    assert root.name == name
    assert root.attributes is not None
    assert root.attributes["thresher.request_id"] == "mine"
    assert root.parent is not None
    assert format(root.parent.span_id, "016x") == CALLER
    parts = sorted((span for span in spans if span is not root), key=lambda span: span.start_time or 0)
    assert [part.name for part in parts] == PARTS
    times: list[int] = [root.start_time or 0]
    for span in parts:
        assert span.parent is not None
        assert span.parent.span_id == root.context.span_id
        times += [span.start_time or 0, span.end_time or 0]
    times.append(root.end_time or 0)
    assert times == sorted(times)
    assert {format(span.context.trace_id, "032x") for span in spans} == {TRACE}
    assert parts[2].attributes == {"thresher.batch_size": 1}
    return root


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.zeros((8, 6), np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("path", "request_", "name"),
    [
        ("/predict", {"json": BLANK}, "POST /predict"),
        ("/predict", {"content": png(), "headers": {"content-type": "image/png"}}, "POST /predict"),
        ("/v2/models/shapes/versions/7/infer", {"json": {"inputs": [TENSOR]}}, Infer.span),
    ],
    ids=["fast path", "through the app", "v2"],
)
def test_a_request_has_a_span_on_its_callers_trace(
    service: LiveService, path: str, request_: dict[str, Any], name: str
) -> None:
    headers = {**PARENT, **request_.get("headers", {})}
    with traced() as end:
        assert service.client.post(path, **{**request_, "headers": headers}).status_code == 200
        root = check(end(), name)
    assert root.attributes is not None
    assert root.attributes["http.response.status_code"] == 200
    assert root.resource.attributes["service.name"] == "shapes"
    assert root.resource.attributes["service.version"] == "7"


def test_a_call_over_grpc_has_one_too(bundle: Bundle) -> None:
    running = Running(bundle, asyncio.new_event_loop)
    try:
        with traced() as end:
            sample = np.zeros((1, 1, 8, 6), np.uint8)
            running.call("ServerLive", b"")
            running.call("ModelInfer", raw_request(sample), metadata=list(PARENT.items()))
            wrong = running.refusal("ModelInfer", b"\xff", metadata=list(PARENT.items()))
            assert wrong.code() is grpc.StatusCode.INVALID_ARGUMENT
            running.close()
            spans = end()
    finally:
        tracing.stop_tracing()
    roots = [span for span in spans if span.kind is SpanKind.SERVER]
    assert [root.attributes["rpc.response.status_code"] for root in roots if root.attributes] == [
        "OK", "INVALID_ARGUMENT"
    ]  # fmt: skip
    assert all(root.status.status_code is StatusCode.UNSET for root in roots)
    check(tuple(span for span in spans if span is not roots[1]), "inference.GRPCInferenceService/ModelInfer")


def test_an_explanation_shows_every_call_of_the_model(service: LiveService) -> None:
    with traced() as end:
        answer = service.client.post("/explain", json=BLANK, headers=PARENT)
        spans = end()
    assert answer.status_code == 200
    names = [span.name for span in spans]
    assert (names.count("POST /explain"), names.count("decode")) == (1, 1)
    assert names.count("run") == names.count("queue") == 1 + -(-answer.json()["num_copies"] // 16)


def test_what_goes_wrong_is_told_from_what_the_client_does_wrong(
    service: LiveService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise KeyError("of nobody's doing")

    with traced() as end:
        assert service.client.post("/predict", json={"image": 3}).status_code == 422
        monkeypatch.setattr("thresher.serving.http.operations.decode_json", fail)
        assert service.client.post("/predict", json=BLANK).status_code == 500
        wrong, broken = end()
    assert wrong.status.status_code is StatusCode.UNSET
    assert broken.status.status_code is StatusCode.ERROR
    assert wrong.attributes is not None
    assert wrong.attributes["http.response.status_code"] == 422
    assert not broken.events  # no text of an exception, in which a payload may stand


def test_what_the_caller_does_not_sample_is_not_traced(service: LiveService) -> None:
    with traced() as end:
        unsampled = {"traceparent": f"00-{TRACE}-{CALLER}-00"}
        assert service.client.post("/predict", json=BLANK, headers=unsampled).status_code == 200
        assert service.client.post("/predict", content=png(), headers={**unsampled, "content-type": "image/png"})
        assert end() == ()
    assert tracing.start("POST /predict", []) is None


@pytest.mark.parametrize(
    ("environment", "wants"),
    [
        ({}, False),
        ({tracing.TRACES: "1"}, True),
        ({tracing.ENDPOINTS[0]: "http://collector:4318"}, True),
        ({tracing.ENDPOINTS[1]: "http://collector:4318/v1/traces"}, True),
        ({tracing.TRACES: "0", tracing.ENDPOINTS[0]: "http://collector:4318"}, False),
    ],
)
def test_it_is_off_until_it_is_asked_for(
    environment: dict[str, str], wants: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (tracing.TRACES, *tracing.ENDPOINTS):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert tracing.wants_traces() is wants


def test_what_is_missing_is_said_and_the_service_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("thresher"), "propagate", True)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    tracing.start_tracing(make_info())
    assert f"install {tracing.EXPORTER}" in caplog.text
    monkeypatch.setenv(tracing.PROTOCOLS[1], "grpc")
    tracing.start_tracing(make_info())
    assert "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'" in caplog.text
    assert tracing.start("POST /predict", []) is None


def test_spans_go_to_the_endpoint_by_otlp(service: LiveService, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(
        "opentelemetry.exporter.otlp.proto.http", reason=f"{tracing.EXPORTER} is not installed: no spans can be sent"
    )
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    came: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as collector:
        Thread(target=collector.serve_forever, daemon=True).start()
        monkeypatch.setenv(tracing.ENDPOINTS[0], f"http://127.0.0.1:{collector.server_port}")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "another")
        tracing.start_tracing(make_info())
        for _ in range(3):
            assert service.client.post("/predict", json=BLANK, headers=PARENT).status_code == 200
        tracing.stop_tracing()
        collector.shutdown()
    (resource,) = [one for _, body in came for one in ExportTraceServiceRequest.FromString(body).resource_spans]
    assert {path for path, _ in came} == {"/v1/traces"}
    names = [span.name for scope in resource.scope_spans for span in scope.spans]
    assert sorted(names) == sorted(3 * [*PARTS, "POST /predict"])
    said = {one.key: one.value.string_value for one in resource.resource.attributes}
    assert (said["service.name"], said["service.version"]) == ("another", "7")
