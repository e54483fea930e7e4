"""A gRPC server beside the HTTP ones, in the same process and on the same batcher.

grpcio's own server takes about 300 microseconds of processor time for a call, whatever the method does, which is
several times what all else takes. So this one is asyncio's, with zttp for HTTP/2, and only its clients are grpcio's.
"""

from __future__ import annotations

import asyncio
import os
from typing import Protocol

from grpc_health.v1.health_pb2 import HealthCheckResponse

from thresher.serving.body import MAX_BODY_SECONDS
from thresher.serving.listening import PortError, listen
from thresher.serving.patience import watch
from thresher.serving.predictor import Predictor
from thresher.serving.rpc.connection import Connection, Routes
from thresher.serving.rpc.extras import health_routes, reflection_routes
from thresher.serving.rpc.health import HealthService
from thresher.serving.rpc.messages import SERVICE
from thresher.serving.rpc.service import InferenceService

SERVER, FAST, GRPCIO = "THRESHER_GRPC_SERVER", "fast", "grpcio"
DRAIN_SECONDS = 10.0
POLL_SECONDS = 0.01


class RpcServer:
    """A server of ``predictor``; `start` it on a running loop."""

    def __init__(self, predictor: Predictor, patience: float = MAX_BODY_SECONDS) -> None:
        """Bind nothing yet.

        Args:
            patience: seconds that a client has for the message of a call.
        """
        self._patience = patience
        self._service, self._health = InferenceService(predictor), HealthService()
        methods = {f"/{SERVICE}/{name}".encode(): method for name, method in self._service.methods().items()}
        self._routes: Routes = {**methods, **health_routes(self._health), **reflection_routes()}
        self._connections: set[Connection] = set()
        self.port = 0
        """That it listens on."""

    async def start(self, host: str, port: int) -> None:
        """Listen on ``port``, which other processes may share; 0 is any free one.

        Raises:
            PortError: it is not to be had.
        """
        await self._health.set(SERVICE, HealthCheckResponse.SERVING)
        bound = listen(host, port)
        self.port = bound.getsockname()[1]
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self._routes, self._connections), sock=bound)
        self._watch = loop.create_task(watch(self._connections, self._patience))

    async def close(self, grace: float = DRAIN_SECONDS) -> None:
        """Say that the service goes, take no more calls, and let those that run end within ``grace`` seconds."""
        self._service.is_ready = False
        await self._health.close()
        self._server.close()
        for connection in list(self._connections):
            connection.close()
        loop = asyncio.get_running_loop()
        end = loop.time() + grace
        while self._connections and loop.time() < end:
            await asyncio.sleep(POLL_SECONDS)
        for connection in list(self._connections):
            connection.abort()
        self._watch.cancel()


class AnyServer(Protocol):
    """Either server."""

    port: int

    async def close(self, grace: float = DRAIN_SECONDS) -> None:
        """Say that the service goes, take no more calls, and let those that run end within ``grace`` seconds."""


async def start_rpc_server(predictor: Predictor, host: str, port: int) -> AnyServer:
    """Return a server of ``predictor`` that answers on ``port``, which other processes may share; 0 is any free one.

    The variable THRESHER_GRPC_SERVER chooses grpcio's.

    Raises:
        PortError: the port is not to be had, or the variable names no server.
    """
    kind = os.environ.get(SERVER) or FAST
    if kind == GRPCIO:
        from thresher.serving.rpc.grpcio_server import start_grpcio_server

        return await start_grpcio_server(predictor, host, port)
    if kind != FAST:
        raise PortError(f"{SERVER} is '{kind}'. Set it to {FAST} or {GRPCIO}, or unset it.")
    server = RpcServer(predictor)
    await server.start(host, port)
    return server
