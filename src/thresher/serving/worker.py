"""One worker process: the ports that it opens beside BentoML's own, and how it ends."""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from uuid import uuid4

from thresher.serving.core.memory import trim_periodically
from thresher.serving.core.predictor import Predictor
from thresher.serving.grpc.server import RpcServer, start_rpc_server
from thresher.serving.health_check import write_address
from thresher.serving.http.fast_listener import FastListener
from thresher.serving.http.middleware import FastPathMiddleware
from thresher.serving.monitoring.logs import log_event, log_warning
from thresher.serving.sockets import GRPC_PORT, HTTP_PORT, bentoml_address, check_free, chosen_ports
from thresher.serving.tls import chosen_tls

YOUNG_OBJECTS = 50_000
"""The new objects after which the garbage collector runs; with Python's default it runs every few requests."""
GRPC_SERVER = "THRESHER_GRPC_SERVER"
"""A variable that chose between two servers, of which one is gone."""
REFUSED = "THRESHER_REFUSED"
"""The variable with the path of a file, which a worker makes when it ends the service because it cannot start."""
CONTAINER = "BENTOML_CONTAINERIZED"
"""The variable that the container image sets."""
SWITCH_SECONDS = 0.0005
"""How long a thread may keep the interpreter while another waits; Python's default is a request's whole latency."""


@dataclass
class Listeners:
    """The servers beside BentoML's own. ``http`` and ``rpc`` are None where their ports are switched off."""

    http: FastListener | None
    rpc: RpcServer | None
    memory: asyncio.Task[None] | None = None
    """Returns freed memory to the system after a burst of requests."""

    async def close(self) -> None:
        """Answer the requests that have arrived, accept no more, and close the ports."""
        closing = [listener.close() for listener in (self.http, self.rpc) if listener]
        await asyncio.gather(*closing)
        if self.memory:
            self.memory.cancel()


async def open_listeners(app: FastPathMiddleware, predictor: Predictor) -> Listeners:
    """Open the fast HTTP port and the gRPC port, by default two and one above BentoML's.

    Raises:
        PortError: a port is in use or cannot be bound to, or BentoML's TLS options cannot be used on it.
    """
    host, own_port = bentoml_address()
    tls = chosen_tls()
    http, rpc = chosen_ports()
    if os.environ.get(GRPC_SERVER):
        log_warning(f"{GRPC_SERVER} is no longer read: there is one gRPC server, grpcio's")
    for variable, port in ((HTTP_PORT, http), (GRPC_PORT, rpc)):
        if port:
            check_free(variable, port)
    listeners = Listeners(None, None)
    if http:
        listeners.http = FastListener(app, host, http, tls)
    if rpc:
        listeners.rpc = await start_rpc_server(predictor, host, rpc, tls=tls)
    if os.environ.get(CONTAINER):
        write_address(host, own_port, tls is not None, tls is not None and tls.options.get("cert-reqs", "0") != "0")
    listeners.memory = asyncio.create_task(trim_periodically())
    info = predictor.bundle.info
    for event, port in (("HTTP is served", http), ("gRPC is served", rpc)):
        if port:
            log_event(event, port=port, recipe=info.recipe, model_version=info.model_version)
    return listeners


def exit_with_error_after_refusal() -> None:
    """Have `bentoml serve`, if this process is it, exit with 1 and not with 0 after a worker called `end_service`."""
    if sys.argv[1:2] != ["serve"]:
        return
    file = Path(tempfile.gettempdir()) / f"thresher-refused-{uuid4().hex}"
    os.environ[REFUSED] = str(file)

    def end() -> None:
        if file.exists():
            file.unlink()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1)

    atexit.register(end)


def end_service(reason: str) -> NoReturn:
    """Print why the service cannot run, and end it: BentoML would show a traceback and go on without a worker."""
    print(f"Error: {reason}", file=sys.stderr, flush=True)
    if REFUSED in os.environ:
        Path(os.environ[REFUSED]).touch()
    os.kill(os.getppid(), signal.SIGTERM)
    os._exit(1)


def tune_runtime() -> None:
    """Tune Python's threads and garbage collector for short requests; all objects until now are kept for good."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 50)
