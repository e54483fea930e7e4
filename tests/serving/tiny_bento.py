"""A bundle stored, and its Bento served, by BentoML's own commands in processes of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from packaging.utils import canonicalize_name

from thresher.serving.image import pinned_packages
from thresher.serving.sockets import GRPC_PORT, HTTP_PORT

PROJECT = Path(__file__).parents[2]

STORE = """
import sys
from pathlib import Path
from thresher.packaging.bento import store_bundle
print(store_bundle(Path(sys.argv[1])))
"""
SHIM = """
import sys
BLOCKED = {blocked!r}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{{name}} is not in the Bento", name=name)
sys.meta_path.insert(0, Blocker())
sys.path[:] = [path for path in sys.path if path != {source!r}]
print("Blocker works", file=sys.stderr)
"""


def run(*command: str, **options: Any) -> str:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=60, **options)
    assert "Tracking" not in done.stdout + done.stderr
    assert done.returncode == 0, done.stderr
    return done.stdout


def store_bundle(folder: Path) -> str:
    return run("-c", STORE, str(folder)).strip()


def build(recipe: str) -> str:
    """Return the tag of the Bento that `bentoml build` makes of the newest model of ``recipe`` in the store."""
    built = run("-m", "bentoml", "build", "--output", "tag", "--arg", f"recipe={recipe}", cwd=PROJECT)
    return built.strip().removeprefix("__tag__:")


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@contextmanager
def serve(
    bento: str,
    packages: tuple[str, ...],
    folder: Path,
    tls: tuple[str, ...] = (),
    prefix: tuple[str, ...] = (),
    **more: str,
) -> Iterator[httpx.Client]:
    """Serve ``bento`` where only what it pins can be imported, ``packages`` for its encoder among it.

    ``tls`` are BentoML's options for it, ``prefix`` is a command that runs the rest; ``more`` is what else stands in
    the environment.
    """
    pinned = {pin.split("==")[0] for pin in pinned_packages(packages)} | {"bentoml"}
    owners = packages_distributions().items()
    blocked = {name for name, owned in owners if not pinned & {canonicalize_name(one) for one in owned}} - {"thresher"}
    assert {"torch", "kedro", "mlflow", "pandas", "sklearn", "onnx"} <= blocked
    (folder / "sitecustomize.py").write_text(SHIM.format(blocked=blocked, source=str(PROJECT / "src")))
    port, grpc_port, http_port = free_ports(3)
    more = {GRPC_PORT: str(grpc_port), HTTP_PORT: str(http_port), "THRESHER_WORKERS": "1", **more}
    command = [*prefix, sys.executable, "-m", "bentoml", "serve", bento, "--host", "127.0.0.1", "--port", str(port)]
    command += tls
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), **more},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            address = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
            with httpx.Client(base_url=address, timeout=10, verify=not tls) as client:
                wait_until_ready(client, process, folder / "log")
                yield client
            process.send_signal(signal.SIGTERM)
            code = process.wait(15)
            assert code == 0, (code, (folder / "log").read_text()[-3000:])
        finally:
            if process.poll() is None:
                for one in psutil.Process(process.pid).children(recursive=True):  # workers have sessions of their own
                    one.kill()
                os.killpg(process.pid, signal.SIGKILL)


def wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(log.read_text())
