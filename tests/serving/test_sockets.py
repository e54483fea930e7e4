"""Ports are shared by the workers of one service and by nobody else."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tiny_bento import free_ports

from thresher.serving.sockets import (
    GRPC_PORT,
    HTTP_PORT,
    PortError,
    bentoml_address,
    check_free,
    check_own_port,
    chosen_port,
    chosen_ports,
    listen,
)

LISTEN = """
import sys
from thresher.serving.sockets import listen
bound = listen("127.0.0.1", int(sys.argv[1]))
print(bound.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def strangers_port() -> Iterator[int]:
    """A port of a service that is not of this process's family: its parent is another one."""
    command = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {LISTEN!r}, '0'])"
    process = subprocess.Popen(
        [sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdin
    yield int(process.stdout.readline())
    process.stdin.close()
    process.wait(10)
    process.stdout.close()


def test_workers_share_a_port() -> None:
    first = listen("127.0.0.1", 0)
    port = first.getsockname()[1]
    second = listen("127.0.0.1", port)
    check_free(HTTP_PORT, port)
    first.close()
    second.close()


def test_another_service_is_not_joined(strangers_port: int) -> None:
    with pytest.raises(
        PortError, match=f"Cannot bind to port {strangers_port}: in use by process .*. Set THRESHER_HTTP_PORT"
    ):
        check_free(HTTP_PORT, strangers_port)


def test_a_port_that_is_not_to_be_had_is_said() -> None:
    with socket.socket() as alone:
        alone.bind(("127.0.0.1", 0))
        alone.listen()
        with pytest.raises(PortError, match="Cannot bind to "):
            listen("127.0.0.1", alone.getsockname()[1])


def test_ports_follow_bentomls_unless_said_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HTTP_PORT, raising=False)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setattr(sys, "argv", ["worker", "--fd", str(bound.fileno())])
        port = bound.getsockname()[1]
        assert bentoml_address() == ("127.0.0.1", port)
        assert chosen_port(HTTP_PORT, 2) == port + 2
        assert bound.getsockname()[1] == port  # still open
    monkeypatch.setattr(sys, "argv", ["worker"])
    assert chosen_port(HTTP_PORT, 2) == 3002
    monkeypatch.setenv(HTTP_PORT, "0")
    assert chosen_port(HTTP_PORT, 2) == 0
    for wrong in ("-1", "70000", "http", "٣٠٠٠", "9" * 5000):
        monkeypatch.setenv(HTTP_PORT, wrong)
        with pytest.raises(PortError, match=r"THRESHER_HTTP_PORT is '.*'. Set it to a port"):
            chosen_port(HTTP_PORT, 2)


@pytest.mark.oddity("Service", "one port for HTTP and gRPC, or none so far above", "the service says so and ends")
def test_ports_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["worker"])
    monkeypatch.setenv(HTTP_PORT, "4000")
    monkeypatch.setenv(GRPC_PORT, "4000")
    with pytest.raises(PortError, match="Port 4000 is given for both HTTP and gRPC"):
        chosen_ports()
    monkeypatch.setenv(GRPC_PORT, "0")
    assert chosen_ports() == (4000, 0)
    monkeypatch.setenv(HTTP_PORT, "0")
    assert chosen_ports() == (0, 0)
    monkeypatch.delenv(HTTP_PORT)
    with pytest.raises(PortError, match=r"There is no port 65536\. Set THRESHER_HTTP_PORT"):
        chosen_port(HTTP_PORT, 65536 - 3000)


@pytest.mark.oddity("Service", "bentoml serve on a port that is taken", "a sentence with the process, no traceback")
def test_the_port_of_bentoml_is_taken(strangers_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (free,) = free_ports(1)
    for given in (["--port", str(strangers_port)], [f"--port={strangers_port}"], ["-p", str(strangers_port)]):
        with pytest.raises(PortError, match=f"Cannot bind to .*:{strangers_port}: in use by process .*--port NUMBER"):
            check_own_port(["bentoml", "serve", "digits", *given])
        check_own_port(["bentoml", "build", *given])
        check_own_port(["worker", *given])
    with pytest.raises(PortError, match="There is no port 70000"):
        check_own_port(["bentoml", "serve", "digits", "--port", "70000"])
    check_own_port(["bentoml", "serve", "digits", "--port", str(free), "--host", "::1"])
    monkeypatch.setenv("BENTOML_PORT", str(strangers_port))
    check_own_port(["bentoml", "serve", "digits", "--port", str(free)])
    with pytest.raises(PortError, match="in use"):
        check_own_port(["bentoml", "serve", "digits"])
