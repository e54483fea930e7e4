"""The handlers of grpcio's server: inference, health and reflection; admission control reads all their messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from time import perf_counter
from typing import Any, NoReturn

import grpc
from grpc.aio import ServicerContext
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import SERVICE_NAME as HEALTH
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import SERVICE_NAME as REFLECTION
from grpc_reflection.v1alpha.reflection import aio as reflection

from thresher.errors import InvalidInputError
from thresher.serving.core.request_id import REQUEST_ID, request_id
from thresher.serving.grpc.admission_control import AdmissionControl
from thresher.serving.grpc.health import HealthService
from thresher.serving.grpc.messages import POOL, SERVICE
from thresher.serving.grpc.service import INFER, PROTOCOL, InferenceService, Method
from thresher.serving.grpc.status import Refusal, refuse
from thresher.serving.grpc.tensor_codec import parse
from thresher.serving.monitoring import tracing
from thresher.serving.monitoring.logs import log_request, wants_access_log

ID_KEY = REQUEST_ID.decode()
Handler = Callable[[Any, ServicerContext], Awaitable[Any]]

for module in (health_pb2, reflection_pb2):  # so that reflection describes them too
    POOL.AddSerializedFile(module.DESCRIPTOR.serialized_pb)


def generic_handlers(
    service: InferenceService, health: HealthService, admission: AdmissionControl
) -> tuple[grpc.GenericRpcHandler, ...]:
    """Return the handlers of all services.

    They are written as such of streams, which ask for each message themselves; a client of a single message sees no
    difference. Messages come and go as bytes: gRPC's own (de)serializers would read a large one on the event loop,
    and would answer a malformed one with UNKNOWN and a traceback.
    """
    unary, stream = grpc.stream_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
    methods = {name: unary(_answer(name, method, service, admission)) for name, method in service.methods().items()}
    healths = {"Check": stream(_check(health, admission)), "Watch": stream(_watch(health, admission))}
    reflections = {"ServerReflectionInfo": stream(_reflect(admission))}
    named = {SERVICE: methods, HEALTH: healths, REFLECTION: reflections}
    return tuple(grpc.method_handlers_generic_handler(name, handlers) for name, handlers in named.items())


def _answer(method_name: str, method: Method, service: InferenceService, admission: AdmissionControl) -> Handler:
    """Return ``method`` with the request's id sent back, every error as a status, and a trace where it infers."""
    infers, logs_all = f"{SERVICE}/{method_name}" == INFER.decode(), wants_access_log()

    async def answer(_: Any, context: ServicerContext) -> bytes:
        name, start = _request_id(context), perf_counter()
        context.set_trailing_metadata(((ID_KEY, name),))
        trace = tracing.start(INFER.decode(), _headers(context), name) if infers else None
        if trace is not None:
            trace.enter()
        status, is_failed, is_taken = grpc.StatusCode.CANCELLED, False, False
        try:
            with admission.call():
                # No variable of this frame is to keep the message while the model works.
                work = method(await _only_message(admission, context), context.time_remaining())
                is_taken = True
                reply = await work
            status = grpc.StatusCode.OK
            return reply
        except Exception as error:
            if infers and not is_taken:
                service.count_refused(error)
            refusal = refuse(error, name, perf_counter() - start)
            status, is_failed = refusal.status, refusal.is_failed
        finally:
            if trace is not None:
                trace.end(status.name, is_failed)
            if logs_all and not is_failed:
                log_request(name, PROTOCOL, status.name, perf_counter() - start)
        return await _abort(context, refusal)

    return answer


def _check(health: HealthService, admission: AdmissionControl) -> Handler:
    async def check(context: ServicerContext) -> None:
        request = parse(health_pb2.HealthCheckRequest, await _only_message(admission, context))
        answer = await health.check(request, context)
        await context.write(answer.SerializeToString())

    return _stream(check, admission)


def _watch(health: HealthService, admission: AdmissionControl) -> Handler:
    async def watch(context: ServicerContext) -> None:
        request = parse(health_pb2.HealthCheckRequest, await _only_message(admission, context))
        await health.watch(request, _BytesContext(context))

    return _stream(watch, admission)


def _reflect(admission: AdmissionControl) -> Handler:
    servicer = reflection.ReflectionServicer((SERVICE, HEALTH, REFLECTION), POOL)

    async def requests(context: ServicerContext) -> AsyncIterator[Any]:
        while (content := await admission.read(context)) is not None:
            yield parse(reflection_pb2.ServerReflectionRequest, content)

    async def describe(context: ServicerContext) -> None:
        async for answer in servicer.ServerReflectionInfo(requests(context), context):
            await context.write(answer.SerializeToString())

    return _stream(describe, admission)


class _BytesContext:
    """The context of a call whose answers are written as bytes."""

    def __init__(self, context: ServicerContext) -> None:
        self._context = context

    async def write(self, message: Any) -> None:
        await self._context.write(message.SerializeToString())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


def _stream(work: Callable[[ServicerContext], Awaitable[None]], admission: AdmissionControl) -> Handler:
    async def run(_: Any, context: ServicerContext) -> None:
        try:
            with admission.call():
                await work(context)
            return
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            refusal = refuse(error, _request_id(context))
        await _abort(context, refusal)

    return run


async def _only_message(admission: AdmissionControl, context: ServicerContext) -> bytes:
    message = await admission.read(context)
    if message is None:  # nobody reads this of a message that was too large: gRPC has ended the call
        raise InvalidInputError("The request must hold one message.")
    return message


def _headers(context: ServicerContext) -> list[tuple[bytes, bytes]]:
    return [(key.encode(), value.encode()) for key, value in context.invocation_metadata() if isinstance(value, str)]


async def _abort(context: ServicerContext, refusal: Refusal) -> NoReturn:
    """End a call; never while its error is handled, as grpcio keeps what this raises in a cycle: with the error would
    stay its frames, and the message in them, until the garbage collector comes."""
    await context.abort(refusal.status, refusal.details, refusal.metadata)
    raise AssertionError("abort returned")


def _request_id(context: ServicerContext) -> str:
    for key, value in context.invocation_metadata():
        if key == ID_KEY:
            return request_id(value.encode()).decode()
    return request_id(b"").decode()
