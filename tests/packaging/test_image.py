"""The image that `thresher containerize` builds, run for real: read-only, not root, right on the whole test split."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import onnxruntime
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from container_engine import Engine
from helpers.digits_bundle import build_digits_bento

from thresher.serving.image import HEALTH

if TYPE_CHECKING:
    from thresher.modalities.samples import Samples

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

TAG = "localhost/thresher-digits:test"
MAX_BYTES = 350_000_000


@pytest.fixture(scope="module")
def image(engine: Engine, float_onnx: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image of a trained network of the digits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(tmp_path_factory.mktemp("bentoml")))
        build_digits_bento(tmp_path_factory.mktemp("bundle"), float_onnx)
        command = [Path(sys.executable).parent / "thresher", "containerize", "digits", "--tag", TAG]
        command += ["--builder", engine.builder]
        command += ["--opt", "network=host"]
        environment = {**os.environ, **engine.for_building}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        assert f"Built {TAG}" in done.stdout
        yield TAG


@dataclass(frozen=True)
class Running:
    """A container and where it answers."""

    name: str
    rest: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.rest}"


def free_port() -> int:
    """Return a port that is free with the two above it."""
    while True:
        sockets = [socket.socket() for _ in range(3)]
        try:
            sockets[0].bind(("127.0.0.1", 0))
            port: int = sockets[0].getsockname()[1]
            for above in (1, 2):
                sockets[above].bind(("127.0.0.1", port + above))
            return port
        except (OSError, OverflowError):
            continue
        finally:
            for one in sockets:
                one.close()


@pytest.fixture(scope="module")
def running(engine: Engine, image: str) -> Iterator[Running]:
    port = free_port()
    serve = ["serve", "--host", "127.0.0.1", "--port", str(port)]
    name = engine("run", "-d", "--read-only", "--network=host", image, *serve).splitlines()[-1]
    running = Running(name, port)
    deadline = time.monotonic() + 60
    while not is_ready(running):
        assert time.monotonic() < deadline, engine("logs", name)
        time.sleep(0.1)
    yield running
    engine("rm", "-f", name)


def is_ready(running: Running) -> bool:
    try:
        return httpx.get(f"{running.url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def expected(digits: Any, float_onnx: bytes) -> np.ndarray:
    """What the evaluated file says of each test sample."""
    session = onnxruntime.InferenceSession(float_onnx)
    answers = [session.run(None, {"image": sample[None]})[0] for sample in digits.test.inputs]
    return np.concatenate(answers)


def test_rest_answers_as_the_evaluated_file(running: Running, digits: Any, expected: np.ndarray) -> None:
    test: Samples = digits.test
    answer = httpx.post(f"{running.url}/predict", json={"images": test.inputs[:, 0].tolist()}, timeout=60).json()
    given = [list(prediction["probabilities"].values()) for prediction in answer["predictions"]]
    np.testing.assert_allclose(given, expected, atol=1e-6)
    labels = [int(prediction["label"]) for prediction in answer["predictions"]]
    assert (np.array(labels) == expected.argmax(axis=1)).all()
    assert (np.array(labels) == test.labels).mean() > 0.9


def test_the_inference_protocol_does_too(running: Running, digits: Any, expected: np.ndarray) -> None:
    samples = np.ascontiguousarray(digits.test.inputs)
    for port in (running.rest, running.rest + 2):
        client = triton_http.InferenceServerClient(f"127.0.0.1:{port}")
        tensor = triton_http.InferInput("image", samples.shape, "UINT8")
        tensor.set_data_from_numpy(samples)
        result = client.infer("digits", [tensor])
        np.testing.assert_allclose(result.as_numpy("probabilities"), expected, atol=1e-6)
        client.close()
    caller = triton_grpc.InferenceServerClient(f"127.0.0.1:{running.rest + 1}")
    call = triton_grpc.InferInput("image", samples.shape, "UINT8")
    call.set_data_from_numpy(samples)
    np.testing.assert_allclose(caller.infer("digits", [call]).as_numpy("probabilities"), expected, atol=1e-6)
    caller.close()


@pytest.mark.oddity("Service", "A container with serve --port N", "its health check asks port N")
def test_it_is_healthy_on_whatever_port_it_serves(engine: Engine, running: Running) -> None:
    assert running.rest != 3000
    engine("exec", running.name, *HEALTH)


def test_it_is_not_root_and_holds_nothing_to_build_or_train_with(engine: Engine, running: Running) -> None:
    assert engine("exec", running.name, "id", "-u") != "0"
    look = "for name in gcc cc git uv; do command -v $name; done; ls /app/.venv/lib/python3*/site-packages"
    found = engine("exec", running.name, "sh", "-c", look).split()
    assert not {"torch", "kedro", "mlflow", "onnx", "pandas", "great_expectations"} & set(found)
    assert not [name for name in found if name.endswith(("/gcc", "/cc", "/git", "/uv"))]
    assert "onnxruntime" in found


def test_it_says_what_it_carries_and_how_it_is(engine: Engine, image: str, running: Running) -> None:
    (about,) = json.loads(engine("inspect", "--type", "image", image))
    labels = about["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == labels["thresher.recipe"] == "digits"
    assert labels["org.opencontainers.image.version"] == labels["thresher.model_version"] == "7"
    assert labels["org.opencontainers.image.revision"] == labels["thresher.git_commit"]
    assert {"thresher.mlflow_run_id", "thresher.data_hash"} <= labels.keys()
    assert {"3000/tcp", "3001/tcp", "3002/tcp"} <= about["Config"]["ExposedPorts"].keys()
    check = about.get("Healthcheck") or about.get("HealthCheck") or about["Config"]["Healthcheck"]  # podman, docker
    program, option, code = check["Test"][1:]
    engine("exec", running.name, program, option, code)  # it finds the port that the service was told to listen on
    failed = subprocess.run(  # where no service says how it is reached
        [engine.runner, "exec", "-e", "TMPDIR=/dev/shm", running.name, program, option, code],
        env={**os.environ, **engine.for_running},
        capture_output=True,
    )
    assert failed.returncode != 0


def test_what_is_added_to_the_base_image_is_small(engine: Engine, image: str) -> None:
    """The base that is made here without a registry is larger than the official one, so the layers are counted."""
    layers = json.loads(engine("inspect", "--type", "image", image))[0]["Size"]
    history = [engine("inspect", "--type", "image", base) for base in bases(engine)]
    base = min((json.loads(one)[0]["Size"] for one in history), default=0)
    assert layers - base < MAX_BYTES - 130_000_000


def bases(engine: Engine) -> list[str]:
    names = engine("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    return [name for name in names if "python:" in name]
