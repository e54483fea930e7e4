"""gRPC's health checking and reflection, by grpcio's own servicers."""

from __future__ import annotations

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import SERVICE_NAME as HEALTH
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import SERVICE_NAME as REFLECTION
from grpc_reflection.v1alpha.reflection import aio as reflection

from thresher.serving.rpc.call import Call
from thresher.serving.rpc.connection import Routes, Stream
from thresher.serving.rpc.health import HealthService
from thresher.serving.rpc.messages import POOL, SERVICE

for module in (health_pb2, reflection_pb2):  # so that reflection describes them too
    POOL.AddSerializedFile(module.DESCRIPTOR.serialized_pb)


def health_routes(health: HealthService) -> Routes:
    """Return the methods of `grpc.health.v1.Health`."""

    async def watch(call: Call) -> None:
        async for request in call.messages(health_pb2.HealthCheckRequest):
            await health.Watch(request, call)
            return

    async def check(call: Call) -> None:
        async for request in call.messages(health_pb2.HealthCheckRequest):
            await call.write(await health.Check(request, call))
            return

    return {f"/{HEALTH}/Check".encode(): Stream(check), f"/{HEALTH}/Watch".encode(): Stream(watch)}


def reflection_routes() -> Routes:
    """Return the methods of `grpc.reflection.v1alpha.ServerReflection`."""
    servicer = reflection.ReflectionServicer((SERVICE, HEALTH, REFLECTION), POOL)

    async def describe(call: Call) -> None:
        requests = call.messages(reflection_pb2.ServerReflectionRequest)
        async for answer in servicer.ServerReflectionInfo(requests, call):
            await call.write(answer)

    return {f"/{REFLECTION}/ServerReflectionInfo".encode(): Stream(describe)}
