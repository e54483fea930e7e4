"""gRPC's health checking, whose streams do not hold up the end of the server."""

from __future__ import annotations

import asyncio

from grpc.aio import ServicerContext
from grpc_health.v1.health import aio
from grpc_health.v1.health_pb2 import HealthCheckRequest

SECONDS_TO_TELL = 0.2


class HealthService(aio.HealthServicer):
    """Says of each service whether it serves; watchers hear the last of it, and then their streams end."""

    def __init__(self) -> None:
        super().__init__()
        self._watches: set[asyncio.Task[None]] = set()

    async def Watch(self, request: HealthCheckRequest, context: ServicerContext) -> None:  # noqa: N802
        """Send the state of a service, now and whenever it changes."""
        watch = asyncio.ensure_future(super().Watch(request, context))
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
        """Say NOT_SERVING of every service from now on, and end the streams."""
        await self.enter_graceful_shutdown()
        if self._watches:
            await asyncio.wait(set(self._watches), timeout=SECONDS_TO_TELL)
        for watch in list(self._watches):
            watch.cancel()
