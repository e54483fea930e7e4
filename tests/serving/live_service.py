"""A bundle served over real sockets by the fast listener, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import httpx
from prometheus_client import CollectorRegistry

from thresher.serving.app import create_app
from thresher.serving.core.bundle import Bundle
from thresher.serving.core.limits import MAX_BODY_SECONDS
from thresher.serving.core.predictor import Predictor
from thresher.serving.http.fast_listener import FastListener
from thresher.serving.http.fast_path import FastRoutes
from thresher.serving.http.middleware import FastPathMiddleware
from thresher.serving.monitoring.metrics import Metrics
from thresher.serving.tls import Tls

Result = TypeVar("Result")


class LiveService:
    """Listens on a free port of 127.0.0.1 until it is closed."""

    def __init__(
        self,
        bundle: Bundle,
        max_seconds: float = MAX_BODY_SECONDS,
        tls: Tls | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.predictor = Predictor(bundle, Metrics(bundle, CollectorRegistry()))
        self.loop = loop or asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.listener = self.run(self._listen(max_seconds, tls))
        self.address = f"127.0.0.1:{self.listener.port}"
        self.client = httpx.Client(base_url=f"http://{self.address}", timeout=20)

    async def _listen(self, max_seconds: float, tls: Tls | None) -> FastListener:
        app = create_app()
        app.state.predictor = self.predictor
        middleware = FastPathMiddleware(app)
        middleware.routes, middleware.max_seconds = FastRoutes(self.predictor), max_seconds
        return FastListener(middleware, "127.0.0.1", 0, tls)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return what ``work`` does on the service's own event loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def finish_turn(self) -> None:
        """Wait until the event loop is done with what it did when it sent its last answer: the log comes after it."""
        self.run(asyncio.sleep(0))

    def close(self) -> None:
        """End as a worker process does."""
        self.client.close()
        self.run(self.listener.close())
        self.predictor.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()
