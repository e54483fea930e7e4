"""gRPC's health checking, whose streams do not hold up the end of the server."""

from __future__ import annotations

import asyncio

from grpc.aio import ServicerContext
from grpc_health.v1.health import aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

SECONDS_TO_TELL = 0.2


class HealthService:
    """Answers whether each service serves; watchers get the last state, and then their streams end."""

    def __init__(self) -> None:
        self._servicer = aio.HealthServicer()
        self._watches: set[asyncio.Task[None]] = set()

    async def set_status(self, service: str, status: int) -> None:
        """Set the state of ``service``, a `ServingStatus`."""
        await self._servicer.set(service, status)

    async def check(self, request: HealthCheckRequest, context: ServicerContext) -> HealthCheckResponse:
        """Return the state of a service."""
        return await self._servicer.Check(request, context)

    async def watch(self, request: HealthCheckRequest, context: ServicerContext) -> None:
        """Send the state of a service, now and whenever it changes."""
        watch = asyncio.ensure_future(self._servicer.Watch(request, context))
        self._watches.add(watch)
        try:
            await watch
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # the watcher left; otherwise this service ended the stream
                raise
        finally:
            self._watches.discard(watch)

    async def close(self) -> None:
        """Answer NOT_SERVING for every service from now on, and end the streams."""
        await self._servicer.enter_graceful_shutdown()
        if self._watches:
            await asyncio.wait(set(self._watches), timeout=SECONDS_TO_TELL)
        for watch in list(self._watches):
            watch.cancel()
