"""The service on grpcio's own server: proven for years, and a third as fast; THRESHER_GRPC_SERVER=grpcio takes it."""

from __future__ import annotations

import grpc
from grpc.aio import Server
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import SERVICE_NAME as REFLECTION
from grpc_reflection.v1alpha.reflection import enable_server_reflection

from thresher.serving.body import MAX_BODY_BYTES
from thresher.serving.listening import PortError
from thresher.serving.predictor import Predictor
from thresher.serving.rpc.grpcio import generic_handler
from thresher.serving.rpc.health import HealthService
from thresher.serving.rpc.messages import POOL, SERVICE
from thresher.serving.rpc.service import InferenceService

DRAIN_SECONDS = 10.0
OPTIONS = (
    ("grpc.so_reuseport", 1),  # the worker processes of one service share the port
    ("grpc.max_receive_message_length", MAX_BODY_BYTES),  # of a compressed message: once it is whole
    ("grpc.max_send_message_length", -1),
    # Clients may ask every 10 s whether an idle connection still stands; by default gRPC hangs up on them.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)
for module in (health_pb2, reflection_pb2):  # so that reflection describes them too
    POOL.AddSerializedFile(module.DESCRIPTOR.serialized_pb)


class GrpcioServer:
    """A running server."""

    def __init__(self, server: Server, service: InferenceService, health: HealthService, port: int) -> None:
        self._server, self._service, self._health = server, service, health
        self.port = port
        """That it listens on."""

    async def close(self, grace: float = DRAIN_SECONDS) -> None:
        """Say that the service goes, take no more calls, and let those that run end within ``grace`` seconds."""
        self._service.is_ready = False
        await self._health.close()
        await self._server.stop(grace)


async def start_grpcio_server(predictor: Predictor, host: str, port: int) -> GrpcioServer:
    """Return a server of ``predictor`` that answers on ``port``, which other processes may share; 0 is any free one.

    Raises:
        PortError: the port is not to be had.
    """
    server, service, health = grpc.aio.server(options=OPTIONS), InferenceService(predictor), HealthService()
    server.add_generic_rpc_handlers((generic_handler(service),))
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    enable_server_reflection((SERVICE, HEALTH, REFLECTION), server, POOL)
    await health.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError as error:
        raise PortError(f"Port {port} of {host} is not to be had for gRPC.") from error
    await server.start()
    return GrpcioServer(server, service, health, bound)
