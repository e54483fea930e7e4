"""The service on grpcio's own server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import NoReturn

import grpc
from grpc.aio import ServicerContext

from thresher.serving import tracing
from thresher.serving.logs import log_request, wants_access_log
from thresher.serving.reply import REQUEST_ID, request_id
from thresher.serving.rpc.messages import SERVICE
from thresher.serving.rpc.refusals import Refusal, refuse
from thresher.serving.rpc.service import INFER, PROTOCOL, InferenceService, Method

ID_KEY = REQUEST_ID.decode()


def generic_handler(service: InferenceService) -> grpc.GenericRpcHandler:
    """Return what a server of grpcio finds the methods of ``service`` by.

    Messages come and go as bytes: gRPC's own (de)serializers would read a large one on the event loop, and would
    answer a malformed one with UNKNOWN and a traceback.
    """
    methods = service.methods().items()
    handlers = {name: grpc.unary_unary_rpc_method_handler(_guarded(name, method)) for name, method in methods}
    return grpc.method_handlers_generic_handler(SERVICE, handlers)


def _guarded(method_name: str, method: Method) -> Callable[[bytes, ServicerContext], Awaitable[bytes]]:
    """Return ``method`` with the request's id sent back, every error as a status, and a trace where it infers."""
    is_traced, logs_all = f"{SERVICE}/{method_name}" == INFER.decode(), wants_access_log()

    async def answer(content: bytes, context: ServicerContext) -> bytes:
        name, start = _request_id(context), perf_counter()
        context.set_trailing_metadata(((ID_KEY, name),))
        trace = tracing.start(INFER.decode(), _headers(context), name) if is_traced else None
        if trace is not None:
            trace.enter()
        status, is_failed = grpc.StatusCode.CANCELLED, False
        try:
            reply = await method(content, context.time_remaining())
            status = grpc.StatusCode.OK
            return reply
        except Exception as error:
            refusal = refuse(error, name, perf_counter() - start)
            status, is_failed = refusal.status, refusal.is_failed
            await _abort(context, refusal)
        finally:
            if trace is not None:
                trace.end(status.name, is_failed)
            if logs_all and not is_failed:
                log_request(name, PROTOCOL, status.name, perf_counter() - start)

    return answer


def _headers(context: ServicerContext) -> list[tuple[bytes, bytes]]:
    return [(key.encode(), value.encode()) for key, value in context.invocation_metadata() if isinstance(value, str)]


async def _abort(context: ServicerContext, refusal: Refusal) -> NoReturn:
    await context.abort(refusal.status, refusal.details, refusal.metadata)
    raise AssertionError("abort returned")


def _request_id(context: ServicerContext) -> str:
    for key, value in context.invocation_metadata():
        if key == ID_KEY:
            return request_id(value.encode()).decode()
    return request_id(b"").decode()
