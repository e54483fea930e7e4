"""A real MLflow server over HTTP, which can be killed, frozen and started again on the same port and store."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

JOBS = "MLFLOW_SERVER_ENABLE_JOB_EXECUTION"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class TrackingServer:
    """Keeps runs in a SQLite file and artifacts in a folder, both in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Return once it answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self._folder}/server.db"]
        command += ["--artifacts-destination", f"{self._folder}/kept"]
        log = self._folder / "server.log"
        # Not the address that clients in this process are given: the server would ask itself.
        variables = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_TRACKING")}
        variables[JOBS] = "false"  # nothing here gives it jobs, and eight processes that import MLflow wait for them
        with log.open("w") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, start_new_session=True, env=variables
            )
        deadline = time.monotonic() + 400
        while not answers(f"{self.address}/health"):
            assert self._process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it and its workers."""
        assert self._process
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """End it at once."""
        if self._process:
            self.send(signal.SIGKILL)
            self._process.wait()
            self._process = None


def answers(address: str) -> bool:
    """Return whether a GET of ``address`` has the status 200."""
    try:
        return httpx.get(address).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def running_server(folder: Path) -> Iterator[TrackingServer]:
    """Give a server that answers, and end it afterwards."""
    server = TrackingServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
