"""The fast listener: uvicorn on a socket of each worker's own, which the kernel deals the connections out to."""

from __future__ import annotations

import asyncio

from thresher.serving.http.middleware import FastPathMiddleware
from thresher.serving.http.uvicorn_protocol import NestedConfig, NestedServer
from thresher.serving.sockets import listen
from thresher.serving.tls import Tls


class FastListener:
    """The fast listener of one worker process."""

    def __init__(self, app: FastPathMiddleware, host: str, port: int, tls: Tls | None = None) -> None:
        """Listen."""
        self._socket = listen(host, port)
        self._server = NestedServer(NestedConfig(app, **(tls.for_uvicorn() if tls else {})))
        self._task = asyncio.get_running_loop().create_task(self._server.serve(sockets=[self._socket]))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._socket.getsockname()[1])

    async def close(self) -> None:
        """Answer what has come, take no more, and end."""
        self._server.should_exit = True
        await self._task
