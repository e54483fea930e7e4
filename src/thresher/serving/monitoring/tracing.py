"""Optional traces by OpenTelemetry: a span for each request, and in it spans of decoding, queue and model.

BentoML's own tracing sees only what goes through its middlewares, which cost more than a small model. Here the spans
are made from times that the batcher takes anyway.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextvars import ContextVar
from threading import Thread
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any

import numpy as np
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from thresher.serving.core.batcher import Run
from thresher.serving.core.bundle import ModelInfo
from thresher.serving.core.errors import DeadlineError
from thresher.serving.monitoring.logs import log_event, log_warning

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

TRACES = "THRESHER_TRACES"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL, EXPORTER = "http/protobuf", "opentelemetry-exporter-otlp-proto-http"
CARRIED = (b"traceparent", b"tracestate")
DISCONNECTED = 499
"""The status of a request whose client disconnected, as in nginx."""
END_SECONDS = 3.0
"""The seconds that sending the last spans may take."""

_propagator = TraceContextTextMapPropagator()
_provider: TracerProvider | None = None
_tracer: Tracer | None = None
_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def wants_traces() -> bool:
    """Return whether requests are to be traced: THRESHER_TRACES says so, or, without it, OTLP's endpoint is set."""
    given = os.environ.get(TRACES, "")
    return given != "0" if given else any(os.environ.get(name) for name in ENDPOINTS)


def start_tracing(info: ModelInfo, exporter: SpanExporter | None = None) -> None:
    """Trace requests from now on, in this process; where that is not possible, the log says what is missing.

    OpenTelemetry's standard variables say where spans go, which requests are sampled and what the service is called.

    Args:
        exporter: where spans go instead.
    """
    global _provider, _tracer
    exporter = exporter or _make_exporter()
    if exporter is None:
        return
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    who: dict[str, str | int] = {
        "service.name": info.recipe,
        "service.version": info.model_version,
        "process.pid": os.getpid(),
    }
    resource = Resource({**who}).merge(OTELResourceDetector().detect())
    _provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    _provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracer = _provider.get_tracer("thresher")
    log_event("requests are traced", recipe=info.recipe, model_version=info.model_version)


def stop_tracing() -> None:
    """Send the remaining spans, and trace no more."""
    global _provider, _tracer
    provider, _provider, _tracer = _provider, None, None
    if provider is not None:  # of itself it waits for half a minute where nobody takes the spans
        ending = Thread(target=provider.shutdown, daemon=True)
        ending.start()
        ending.join(END_SECONDS)


def start(name: str, headers: Iterable[tuple[bytes, bytes]], request_id: str = "") -> Trace | None:
    """Begin the trace of a request; None where requests are not traced, or this one is not sampled.

    Args:
        name: `POST /predict`, or `SERVICE/METHOD` of gRPC.
        headers: of the request, names in lower case; a `traceparent` (W3C) makes the caller's span the parent.
    """
    return None if _tracer is None else _start(_tracer, name, headers, request_id)


def current() -> Trace | None:
    """Return the trace of the request that this task answers."""
    return _current.get()


class Trace:
    """The trace of one request."""

    def __init__(self, tracer: Tracer, span: Span, began: float, began_ns: int) -> None:
        self._tracer, self._span, self._context = tracer, span, set_span_in_context(span)
        self._began, self._began_ns = began, began_ns
        self._is_decoded = False

    def enter(self) -> None:
        """Make this the `current` trace of this task, and of the tasks that it starts."""
        _current.set(self)

    def queued(self, when: float) -> None:
        """Record that the request was decoded and queued at ``when``, in seconds of `perf_counter`."""
        if not self._is_decoded:
            self._is_decoded = True
            self._add("decode", self._began, when)

    def answered(self, queued: float, run: Run | None, result: np.ndarray | Exception) -> None:
        """Record the outcome of what was ``queued`` at this time, and the model's last ``run`` until then.

        Of a request that was split, the queue ends where its last part begins.
        """
        if isinstance(result, DeadlineError):
            self._add("queue", queued, perf_counter())
        elif run is not None and run.start >= queued:
            self._add("queue", queued, run.start)
            self._add("run", run.start, run.start + run.seconds, {"thresher.batch_size": run.num_samples})

    def end(self, status: int | str, is_error: bool, request_id: str = "") -> None:
        """Record the end of the request, with an HTTP or gRPC ``status``; a second call does nothing."""
        if not self._span.is_recording():
            return
        key = "http.response.status_code" if isinstance(status, int) else "rpc.response.status_code"
        self._span.set_attribute(key, status)
        if request_id:
            self._span.set_attribute("thresher.request_id", request_id)
        if is_error:
            self._span.set_status(StatusCode.ERROR)
        self._span.end(self._to_ns(perf_counter()))

    def _add(self, name: str, start: float, end: float, attributes: dict[str, Any] | None = None) -> None:
        span = self._tracer.start_span(name, self._context, attributes=attributes, start_time=self._to_ns(start))
        span.end(self._to_ns(end))

    def _to_ns(self, seconds: float) -> int:
        """Return the time since 1970 of a moment of `perf_counter`."""
        return self._began_ns + int((seconds - self._began) * 1e9)


def _start(tracer: Tracer, name: str, headers: Iterable[tuple[bytes, bytes]], request_id: str) -> Trace | None:
    began, began_ns = perf_counter(), time_ns()
    carrier = {key.decode(): value.decode("latin-1") for key, value in headers if key in CARRIED}
    span = tracer.start_span(name, _propagator.extract(carrier, Context()), SpanKind.SERVER, start_time=began_ns)
    if not span.is_recording():
        return None
    method, _, route = name.partition(" ")
    if route:
        span.set_attributes({"http.request.method": method, "http.route": route})
    else:
        span.set_attributes({"rpc.system.name": "grpc", "rpc.method": name})
    if request_id:
        span.set_attribute("thresher.request_id", request_id)
    return Trace(tracer, span, began, began_ns)


def _make_exporter() -> SpanExporter | None:
    asked = next((os.environ[name] for name in PROTOCOLS if os.environ.get(name)), PROTOCOL)
    if asked != PROTOCOL:
        log_warning(f"requests are not traced: {PROTOCOLS[1]} is '{asked[:20]}', and spans go by {PROTOCOL} alone")
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        log_warning(f"requests are not traced: install {EXPORTER}, or set {TRACES}=0")
        return None
    exporter: SpanExporter = OTLPSpanExporter()
    return exporter
