"""The service on grpcio's own server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NoReturn

import grpc
from grpc.aio import ServicerContext

from thresher.serving.reply import REQUEST_ID, request_id
from thresher.serving.rpc.messages import SERVICE
from thresher.serving.rpc.refusals import Refusal, refuse
from thresher.serving.rpc.service import InferenceService, Method

ID_KEY = REQUEST_ID.decode()


def generic_handler(service: InferenceService) -> grpc.GenericRpcHandler:
    """Return what a server of grpcio finds the methods of ``service`` by.

    Messages come and go as bytes: gRPC's own (de)serializers would read a large one on the event loop, and would
    answer a malformed one with UNKNOWN and a traceback.
    """
    methods = service.methods().items()
    handlers = {name: grpc.unary_unary_rpc_method_handler(_guarded(method)) for name, method in methods}
    return grpc.method_handlers_generic_handler(SERVICE, handlers)


def _guarded(method: Method) -> Callable[[bytes, ServicerContext], Awaitable[bytes]]:
    """Return ``method`` with the request's id sent back, and every error as a status."""

    async def answer(content: bytes, context: ServicerContext) -> bytes:
        name = _request_id(context)
        context.set_trailing_metadata(((ID_KEY, name),))
        try:
            return await method(content, context.time_remaining())
        except Exception as error:
            await _abort(context, refuse(error, name))

    return answer


async def _abort(context: ServicerContext, refusal: Refusal) -> NoReturn:
    await context.abort(refusal.status, refusal.details, refusal.metadata)
    raise AssertionError("abort returned")


def _request_id(context: ServicerContext) -> str:
    for key, value in context.invocation_metadata():
        if key == ID_KEY:
            return request_id(value.encode()).decode()
    return request_id(b"").decode()
