"""A served Bento with two workers: foreign clients on every port, and an end under load that loses nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import onnxruntime
import psutil
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tiny_bento import build, free_ports, serve, store_bundle
from tiny_service import make_info

from thresher.modalities.image.encoder import ImageEncoder
from thresher.serving.core.bundle import Bundle, write_bundle
from thresher.serving.sockets import GRPC_PORT, HTTP_PORT

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

IMAGES = np.random.default_rng(5).integers(0, 256, (30, 1, 8, 6), np.uint8)


@dataclass(frozen=True)
class Served:
    """A service and where it listens."""

    client: httpx.Client
    http: str
    rpc: str
    log: Path

    @property
    def workers(self) -> list[psutil.Process]:
        """Its worker processes: they listen on the port of the fast listener."""
        return workers_on(int(self.http.split(":")[1]))


def workers_on(port: int) -> list[psutil.Process]:
    return [
        psutil.Process(connection.pid)
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid
    ]


@pytest.fixture(scope="module")
def bento(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(tmp_path_factory.mktemp("bentoml")))
        folder = tmp_path_factory.mktemp("bundle")
        write_bundle(folder, bundle.onnx_bytes, bundle.encoder, make_info(max_batch_size=8))
        store_bundle(folder)
        yield build("shapes")


@pytest.fixture(scope="module")
def served(bento: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    http, rpc = free_ports(2)
    folder = tmp_path_factory.mktemp("serve")
    ports = {HTTP_PORT: str(http), GRPC_PORT: str(rpc), "THRESHER_WORKERS": "2"}
    with serve(bento, ImageEncoder.REQUIREMENTS, folder, **ports) as client:
        served = Served(client, f"127.0.0.1:{http}", f"127.0.0.1:{rpc}", folder / "log")
        deadline = time.monotonic() + 20
        while len(served.workers) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        yield served


@pytest.fixture(scope="module")
def expected(bundle: Bundle) -> np.ndarray:
    session = onnxruntime.InferenceSession(bundle.onnx_bytes)
    return np.concatenate([session.run(None, {"image": image[None]})[0] for image in IMAGES])


def test_foreign_clients_over_rest_get_the_models_answers(served: Served, expected: np.ndarray) -> None:
    for address in (served.http, served.client.base_url.netloc.decode()):
        client = triton_http.InferenceServerClient(address)
        assert client.is_server_ready()
        assert client.is_model_ready("shapes", "7")
        tensor = triton_http.InferInput("image", IMAGES.shape, "UINT8")
        tensor.set_data_from_numpy(IMAGES)
        result = client.infer("shapes", [tensor])
        np.testing.assert_array_equal(result.as_numpy("probabilities"), expected)
        client.close()


def test_foreign_clients_over_grpc_get_the_same_bits(served: Served, expected: np.ndarray) -> None:
    client = triton_grpc.InferenceServerClient(served.rpc)
    assert client.is_server_live()
    assert client.is_model_ready("shapes", "7")
    tensor = triton_grpc.InferInput("image", IMAGES.shape, "UINT8")
    tensor.set_data_from_numpy(IMAGES)
    result = client.infer("shapes", [tensor], request_id="mine")
    np.testing.assert_array_equal(result.as_numpy("probabilities"), expected)
    assert result.get_response().id == "mine"
    client.close()


def test_both_workers_answer_on_every_port(served: Served) -> None:
    """The kernel deals connections out to them."""
    assert len(served.workers) == 2
    for _ in range(40):
        with httpx.Client(base_url=f"http://{served.http}") as client:
            assert client.post("/predict", json={"image": IMAGES[0, 0].tolist()}).status_code == 200
    for worker in served.workers:
        assert worker.is_running()


def test_no_request_kills_a_worker(served: Served) -> None:
    before = {worker.pid for worker in served.workers}
    for content in (b"[" * 100_000, b"\xff" * 1000, b'{"image": 1e999}'):
        for path in ("/predict", "/v2/models/shapes/infer"):
            answer = served.client.post(path, content=content, headers={"Content-Type": "application/json"})
            assert 400 <= answer.status_code < 500
    bomb = struct.pack(">8sI4sIIBBBBB", b"\x89PNG\r\n\x1a\n", 13, b"IHDR", 2**31 - 1, 2**31 - 1, 8, 0, 0, 0, 0)
    assert served.client.post("/predict", content=bomb, headers={"Content-Type": "image/png"}).status_code == 422
    assert {worker.pid for worker in served.workers} == before


def test_the_end_loses_no_request_that_was_taken_in(bento: str, tmp_path: Path) -> None:
    """Every connection's last request is either answered, or was sent after the service had said that it closes."""
    http, rpc = free_ports(2)
    ports = {HTTP_PORT: str(http), GRPC_PORT: str(rpc), "THRESHER_WORKERS": "2"}
    document = {"image": IMAGES[0, 0].tolist()}
    codes: list[int] = []

    async def post(until: asyncio.Event) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{http}", timeout=10) as client:
            while not until.is_set():
                try:
                    answer = await client.post("/predict", json=document)
                except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError):
                    return  # closed between two requests, which a client repeats
                codes.append(answer.status_code)

    async def work(client: httpx.Client) -> None:
        until = asyncio.Event()
        tasks = [asyncio.create_task(post(until)) for _ in range(16)]
        while len(codes) < 100:
            await asyncio.sleep(0.05)
        (parent,) = {worker.ppid() for worker in workers_on(http)}
        os.kill(parent, signal.SIGTERM)
        await asyncio.sleep(1.5)
        until.set()
        await asyncio.gather(*tasks)
        async with asyncio.timeout(20):  # a second signal, in the middle of its end, would be its exit code
            while psutil.Process(parent).status() != psutil.STATUS_ZOMBIE:
                await asyncio.sleep(0.05)

    with serve(bento, ImageEncoder.REQUIREMENTS, tmp_path, **ports) as client:
        asyncio.run(work(client))
    assert set(codes) == {200}


def test_a_port_of_another_service_ends_it_with_a_sentence(bento: str, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = str(other.getsockname()[1])
        command = [
            sys.executable,
            "-m",
            "bentoml",
            "serve",
            bento,
            "--host",
            "127.0.0.1",
            "--port",
            str(free_ports(1)[0]),
        ]
        environment = {**os.environ, GRPC_PORT: taken, HTTP_PORT: "0", "THRESHER_WORKERS": "1"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert f"Error: Cannot bind to port {taken}: in use by process {os.getpid()}. Set THRESHER_GRPC_PORT" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
