"""TLS is on every port or on none, and what a port cannot do of it is said."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from certificates import Authority
from tiny_grpc import PREFIX, Running

from thresher.serving import health_check
from thresher.serving.core.bundle import Bundle
from thresher.serving.grpc.server import start_rpc_server
from thresher.serving.sockets import PortError
from thresher.serving.tls import Tls, check_tls, chosen_tls


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def options(authority: Authority, **more: str) -> dict[str, str]:
    certificate, key = authority.sign("server")
    return {"certfile": str(certificate), "keyfile": str(key), **more}


def test_what_bentoml_hands_on() -> None:
    assert chosen_tls(["worker", "--fd", "3"]) is None
    given = [
        "worker",
        "--ssl-certfile",
        "a",
        "--ssl-keyfile",
        "b",
        "--ssl-cert-reqs",
        "2",
        "--ssl-ca-certs",
        "c",
        "--fd",
        "3",
    ]
    tls = chosen_tls(given)
    assert tls and tls.options == {"certfile": "a", "keyfile": "b", "cert-reqs": "2", "ca-certs": "c"}
    assert tls.for_uvicorn() == {"ssl_certfile": "a", "ssl_keyfile": "b", "ssl_cert_reqs": 2, "ssl_ca_certs": "c"}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"keyfile-password": "x"}, "--ssl-keyfile-password is not supported on the gRPC port"),
        ({"version": "5"}, "--ssl-version is not supported"),
        ({"ciphers": "ALL"}, "GRPC_SSL_CIPHER_SUITES"),
        ({"cert-reqs": "1", "ca-certs": "x"}, "--ssl-cert-reqs 1 is not supported"),
        ({"cert-reqs": "2"}, "--ssl-cert-reqs needs --ssl-ca-certs"),
        ({"certfile": "/no/where"}, "/no/where cannot be read: No such file"),
    ],
)
@pytest.mark.oddity("Service", "TLS that gRPC cannot do, such as a key with a password", "the service says so and ends")
def test_what_grpc_cannot_do_is_refused(authority: Authority, more: dict[str, str], says: str) -> None:
    with pytest.raises(PortError, match=says):
        Tls(options(authority, **more)).for_grpc()


@pytest.mark.oddity("Service", "a certificate that is missing or is none", "the service says so and ends")
def test_files_that_are_no_certificate_are_said(authority: Authority, tmp_path: Path) -> None:
    certificate, key = map(str, authority.sign("server"))
    check_tls([])
    check_tls(["--ssl-certfile", certificate, "--ssl-keyfile", key])
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    for given, says in (
        (("--ssl-certfile", "/no/where"), "/no/where cannot be read"),
        (("--ssl-certfile", certificate, "--ssl-keyfile", "/no/where"), "/no/where cannot be read"),
        (("--ssl-certfile", str(text)), "text.pem: not a certificate"),
        (("--ssl-certfile", certificate), "not a certificate with its key"),
        (("--ssl-keyfile", key), "--ssl-keyfile without --ssl-certfile"),
        (("--ssl-certfile", certificate, "--ssl-keyfile", str(text)), "text.pem: not a certificate"),
        (
            ("--ssl-certfile", certificate, "--ssl-keyfile", key, "--ssl-ca-certs", str(text)),
            "text.pem: not a certificate",
        ),
    ):
        with pytest.raises(PortError, match=says):
            check_tls(given)


def test_grpc_with_tls_and_with_certificates_of_clients(bundle: Bundle, authority: Authority) -> None:
    running, roots = Running(bundle), authority.certificate.read_bytes()
    certificate, key = authority.sign("client")

    def is_live(port: int, *own: bytes) -> bool:
        with grpc.secure_channel(f"127.0.0.1:{port}", grpc.ssl_channel_credentials(roots, *own)) as channel:
            try:
                return channel.unary_unary(PREFIX + "ServerLive")(b"", timeout=10) == b"\x08\x01"
            except grpc.RpcError as error:
                assert isinstance(error, grpc.Call) and error.code() is grpc.StatusCode.UNAVAILABLE
                return False

    wants = {"cert-reqs": "2", "ca-certs": str(authority.certificate)}
    try:
        for more, is_open in (({}, True), (wants, False)):
            tls = Tls(options(authority, **more))
            server = running.run(start_rpc_server(running.predictor, "127.0.0.1", 0, tls=tls))
            assert is_live(server.port) is is_open
            assert is_live(server.port, key.read_bytes(), certificate.read_bytes())
            with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel, pytest.raises(grpc.RpcError):
                channel.unary_unary(PREFIX + "ServerLive")(b"", timeout=10)
            running.run(server.close(0))
    finally:
        running.close()


def is_alive(folder: Path) -> bool:
    """Run the health check as the image does."""
    command = [sys.executable, "-P", health_check.__file__]
    return subprocess.run(command, env={"TMPDIR": str(folder)}, timeout=20, check=False).returncode == 0


def test_the_health_check_follows_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        status = b"200 OK" if line.startswith(b"GET /readyz ") and statuses.pop(0) else b"503 No"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def work() -> list[bool]:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        results = [await asyncio.to_thread(is_alive, tmp_path)]
        for host in ("127.0.0.1", "0.0.0.0", "0.0.0.0"):
            health_check.write_address(host, port, tls=False, wants_certificate=False)
            results.append(await asyncio.to_thread(is_alive, tmp_path))
        health_check.write_address("127.0.0.1", port, tls=True, wants_certificate=True)
        results.append(await asyncio.to_thread(is_alive, tmp_path))
        server.close()
        results.append(await asyncio.to_thread(is_alive, tmp_path))
        return results

    statuses = [True, True, False]
    monkeypatch.setattr(health_check.tempfile, "tempdir", str(tmp_path))
    assert asyncio.run(work()) == [False, True, True, False, True, False]
    assert json.loads(health_check.address_file().read_text())[0] == "127.0.0.1"
