"""Two services of one user, one of them with TLS: each has its own counts, and all ports of the second are secure."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import grpc
import httpx
import pytest
from certificates import Authority
from tiny_bento import build, free_ports, serve, store_bundle
from tiny_grpc import PREFIX
from tiny_service import make_info

from thresher.modalities.image.encoder import ImageEncoder
from thresher.serving import health_check
from thresher.serving.core.bundle import Bundle, write_bundle
from thresher.serving.sockets import GRPC_PORT, HTTP_PORT
from thresher.serving.worker import CONTAINER

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]
BLANK = {"image": [[0] * 6] * 8}


def num_predictions(client: httpx.Client) -> float:
    counts = re.findall(r"^thresher_predictions_total\{.*\} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    return sum(map(float, counts))


@pytest.mark.oddity("Service", "Two services of one user, with metrics", "each keeps its own counts")
@pytest.mark.oddity("Service", "bentoml serve --ssl-certfile", "TLS on all three ports")
def test_a_second_service_with_tls_leaves_the_first_its_counts(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    write_bundle(tmp_path / "bundle", bundle.onnx_bytes, bundle.encoder, make_info())
    store_bundle(tmp_path / "bundle")
    bento = build("shapes")
    authority = Authority(tmp_path)
    certificate, key = authority.sign("server")
    tls = ("--ssl-certfile", str(certificate), "--ssl-keyfile", str(key))
    http, rpc = free_ports(2)
    folders = [tmp_path / name for name in ("first", "second", "temporary")]
    for folder in folders:
        folder.mkdir()
    more = {HTTP_PORT: str(http), GRPC_PORT: str(rpc), CONTAINER: "true", "TMPDIR": str(folders[2])}
    with serve(bento, ImageEncoder.REQUIREMENTS, folders[0]) as first:
        for _ in range(5):
            assert first.post("/predict", json=BLANK).status_code == 200
        assert num_predictions(first) == 5
        with serve(bento, ImageEncoder.REQUIREMENTS, folders[1], tls, **more) as second:
            assert second.post("/predict", json=BLANK).status_code == 200
            assert (num_predictions(first), num_predictions(second)) == (5, 1)
            assert len(list(folders[2].glob("thresher-metrics-*"))) == 1
            check_ports(second.base_url.port or 0, http, rpc, authority)
            command = [sys.executable, "-P", health_check.__file__]
            assert subprocess.run(command, env={"TMPDIR": str(folders[2])}, timeout=20).returncode == 0
        command = [sys.executable, "-m", "bentoml", "serve", bento, "--host", "127.0.0.1", "--port", "0"]
        taken = first.base_url.port
        for wrong, more_words, says in (
            ({"THRESHER_IN_FLIGHT_MIB": "0"}, [], "Error: THRESHER_IN_FLIGHT_MIB is '0'. Set it to"),
            ({}, ["--arg", "recipe=other"], "Error: --arg chooses a champion when a Bento is built"),
            (
                {GRPC_PORT: str(taken), HTTP_PORT: "0"},
                [],
                f"Error: Cannot bind to port {taken}: in use by process",
            ),  # by a worker
        ):
            environment = {**os.environ, **wrong}
            ended = subprocess.run(
                [*command, *more_words], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
            )
            assert (ended.returncode, "Traceback" in ended.stderr) == (1, False), ended.stderr
            assert says in ended.stderr
        time_out = time.monotonic() + 10
        while list(folders[2].glob("thresher-metrics-*")) and time.monotonic() < time_out:
            time.sleep(0.1)
        assert not list(folders[2].glob("thresher-metrics-*"))
        assert num_predictions(first) == 5


def check_ports(own: int, http: int, rpc: int, authority: Authority) -> None:
    trusted = ssl.create_default_context(cafile=str(authority.certificate))
    for port in (own, http):
        with httpx.Client(verify=trusted) as client:
            assert client.post(f"https://127.0.0.1:{port}/predict", json=BLANK).status_code == 200
            with pytest.raises(httpx.TransportError):
                client.post(f"http://127.0.0.1:{port}/predict", json=BLANK)
    credentials = grpc.ssl_channel_credentials(authority.certificate.read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{rpc}", credentials) as channel:
        assert channel.unary_unary(PREFIX + "ServerLive")(b"", timeout=10) == b"\x08\x01"
    with socket.create_connection(("127.0.0.1", rpc), 10) as plain:
        plain.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        assert plain.recv(9)[3:4] != b"\x04"  # no SETTINGS: it is not HTTP/2 without TLS
