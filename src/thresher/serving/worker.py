"""A predictor at work in one worker process: all protocols that it answers."""

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
from thresher.serving.health_check import announce
from thresher.serving.http.fast_listener import FastListener
from thresher.serving.http.middleware import FastPathMiddleware
from thresher.serving.monitoring.logs import log_event, log_warning
from thresher.serving.sockets import GRPC_PORT, HTTP_PORT, bentoml_address, check_free, chosen_ports
from thresher.serving.tls import chosen_tls

YOUNG_OBJECTS = 50_000
"""New objects until the garbage collector looks at them; Python's default looks every few requests."""
GRPC_SERVER = "THRESHER_GRPC_SERVER"
"""A variable that chose between two servers, of which one is gone."""
REFUSED = "THRESHER_REFUSED"
"""The file in which workers find that one of them gave up."""
CONTAINER = "BENTOML_CONTAINERIZED"
"""The variable that the image sets."""
SWITCH_SECONDS = 0.0005
"""How long a thread may keep the interpreter while another waits; Python's default is a request's whole latency."""


@dataclass
class Listeners:
    """What listens beside BentoML's own port."""

    http: FastListener | None
    rpc: RpcServer | None
    memory: asyncio.Task[None] | None = None
    """Gives back what a burst leaves."""

    async def close(self) -> None:
        """Answer what has come, take no more, and end."""
        closing = [listener.close() for listener in (self.http, self.rpc) if listener]
        await asyncio.gather(*closing)
        if self.memory:
            self.memory.cancel()


async def open_listeners(app: FastPathMiddleware, predictor: Predictor) -> Listeners:
    """Open the fast HTTP port and the gRPC port, two and one above BentoML's unless the environment says others.

    Raises:
        PortError: a port cannot be bound to, or not with the TLS that BentoML's has, or another service has it.
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
        announce(host, own_port, tls is not None, tls is not None and tls.options.get("cert-reqs", "0") != "0")
    listeners.memory = asyncio.create_task(trim_periodically())
    info = predictor.bundle.info
    for event, port in (("HTTP is served", http), ("gRPC is served", rpc)):
        if port:
            log_event(event, port=port, recipe=info.recipe, model_version=info.model_version)
    return listeners


def exit_with_error_after_refusal() -> None:
    """Have `bentoml serve`, if this process is it, end with 1 where a worker gave up; it would end with 0."""
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
    """Say why the service cannot be, and end it: BentoML would show a traceback and go on without a worker."""
    print(f"Error: {reason}", file=sys.stderr, flush=True)
    if REFUSED in os.environ:
        Path(os.environ[REFUSED]).touch()
    os.kill(os.getppid(), signal.SIGTERM)
    os._exit(1)


def tune_runtime() -> None:
    """Tune Python for answering: what was loaded until now stays for good."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 50)
