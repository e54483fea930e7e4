"""A project with a registry of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from registry_project import RegistryProject

from thresher.tracking.run_context import TRACKING_URI


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real MLflow server over HTTP, which keeps the artifacts itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--artifacts-destination", f"{tmp_path}/kept"]
    log = tmp_path / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen([*command, *stores], stdout=output, stderr=output, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while not _answers(address):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        monkeypatch.setenv(TRACKING_URI, address)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def small(
    tmp_path: Path, own_mlflow: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[RegistryProject]:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    folder = tmp_path / "project"
    folder.mkdir()
    yield RegistryProject(folder, f"sqlite:///{folder}/mlflow.db", capsys, monkeypatch)
