"""A gRPC server beside the HTTP ones, in the same process and on the same batcher: grpcio's, on its event loop."""

from __future__ import annotations

import asyncio

import grpc
from grpc.aio import Server
from grpc_health.v1.health_pb2 import HealthCheckResponse

from thresher.serving.core.limits import MAX_BODY_SECONDS
from thresher.serving.core.predictor import Predictor
from thresher.serving.grpc.admission_control import AdmissionControl, options
from thresher.serving.grpc.handlers import generic_handlers
from thresher.serving.grpc.health import HealthService
from thresher.serving.grpc.messages import SERVICE
from thresher.serving.grpc.service import InferenceService
from thresher.serving.sockets import PortError
from thresher.serving.tls import Tls

DRAIN_SECONDS = 10.0
REFUSE_SECONDS = 0.3
"""How long new calls are refused as UNAVAILABLE before the server stops: calls that come just when it does, grpcio ends
as CANCELLED, which no client tries again."""
OPTIONS = (
    ("grpc.so_reuseport", 1),  # the worker processes of one service share the port
    ("grpc.max_send_message_length", -1),
    # Clients may ask every 10 s whether an idle connection still stands; by default gRPC hangs up on them.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.server_handshake_timeout_ms", int(1000 * MAX_BODY_SECONDS)),
)


class RpcServer:
    """A running server."""

    def __init__(
        self, server: Server, service: InferenceService, health: HealthService, admission: AdmissionControl, port: int
    ) -> None:
        self._server, self._service, self._health, self._admission = server, service, health, admission
        self.port = port
        """The port that it listens on."""

    async def close(self, grace: float = DRAIN_SECONDS) -> None:
        """Report NOT_SERVING, refuse new calls, and let those that run finish within ``grace`` seconds."""
        self._service.is_ready = False
        self._admission.close()
        await asyncio.gather(self._health.close(), asyncio.sleep(REFUSE_SECONDS))
        await self._server.stop(grace)


async def start_rpc_server(
    predictor: Predictor, host: str, port: int, max_seconds: float = MAX_BODY_SECONDS, tls: Tls | None = None
) -> RpcServer:
    """Return a server of ``predictor`` that answers on ``port``, which other processes may share; 0 is any free one.

    Args:
        max_seconds: how long a client may take to send a message.

    Raises:
        PortError: the port cannot be bound to, or not with this TLS.
    """
    admission = AdmissionControl(predictor.budget, max_seconds)
    server = grpc.aio.server(options=(*OPTIONS, *options(admission)))
    service, health = InferenceService(predictor), HealthService()
    server.add_generic_rpc_handlers(generic_handlers(service, health, admission))
    await health.set_status(SERVICE, HealthCheckResponse.SERVING)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound = server.add_secure_port(address, tls.for_grpc()) if tls else server.add_insecure_port(address)
    except RuntimeError as error:
        raise PortError(f"gRPC cannot bind to {address}: it is in use, or not an address of this machine.") from error
    await server.start()
    return RpcServer(server, service, health, admission, bound)
