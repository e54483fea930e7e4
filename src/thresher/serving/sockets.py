"""The ports of a service, which its worker processes share with each other and with no other service."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from errno import EADDRINUSE
from itertools import pairwise

import psutil

HTTP_PORT, GRPC_PORT = "THRESHER_HTTP_PORT", "THRESHER_GRPC_PORT"
DEFAULT_PORT, LAST_PORT = 3000, 65535
BACKLOG = 2048


class PortError(Exception):
    """A port that cannot be bound to, or a wrong option of one; the message says what to do."""


def chosen_port(variable: str, above: int) -> int:
    """Return the port in the environment's ``variable``, by default ``above`` BentoML's own; 0 for none.

    Raises:
        PortError: the variable holds no port, or there is none so far above.
    """
    given = os.environ.get(variable, "")
    if not given:
        port = bentoml_port() + above
        if port > LAST_PORT:
            raise PortError(f"There is no port {port}. Set {variable} to a free port, or to 0 for none.")
        return port
    if not given.isascii() or not given.isdecimal() or len(given) > 5 or int(given) > LAST_PORT:
        raise PortError(f"{variable} is '{given}'. Set it to a port of 1 to 65535, or to 0 for none.")
    return int(given)


def chosen_ports() -> tuple[int, int]:
    """Return the ports of the fast HTTP listener and of gRPC; see `chosen_port`.

    Raises:
        PortError: a variable holds no port, or both the same one.
    """
    http, rpc = chosen_port(HTTP_PORT, 2), chosen_port(GRPC_PORT, 1)
    if http and http == rpc:  # with SO_REUSEPORT each would get some of the other's connections
        raise PortError(f"Port {http} is given for both HTTP and gRPC. Set {HTTP_PORT} or {GRPC_PORT} to another.")
    return http, rpc


def bentoml_address() -> tuple[str, int]:
    """Return the address that BentoML listens on: it passes its open socket to each worker process, by `--fd`."""
    arguments = sys.argv
    if "--fd" in arguments[:-1]:
        with socket.socket(fileno=os.dup(int(arguments[arguments.index("--fd") + 1]))) as bound:
            address = bound.getsockname()
            if isinstance(address, tuple):
                return str(address[0]), int(address[1])
    return "0.0.0.0", DEFAULT_PORT


def bentoml_port() -> int:
    """Return the port that BentoML listens on."""
    return bentoml_address()[1]


def check_own_port(arguments: Sequence[str] | None = None) -> None:
    """Check that the port which `bentoml serve` is to open is free; BentoML would end with a traceback of its own.

    Raises:
        PortError: another process listens on it.
    """
    arguments = sys.argv if arguments is None else arguments
    if arguments[1:2] != ["serve"]:
        return
    port, host = os.environ.get("BENTOML_PORT", ""), os.environ.get("BENTOML_HOST", "")
    for option, value in pairwise([part for argument in arguments for part in argument.split("=", 1)]):
        port = value if option in ("--port", "-p") else port
        host = value if option == "--host" else host
    number = int(port) if port.isdecimal() and len(port) <= 5 else DEFAULT_PORT
    if number > LAST_PORT:
        raise PortError(f"There is no port {number}. Serve on another port: --port NUMBER.")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host or "0.0.0.0", number))
        except OSError as error:
            if error.errno == EADDRINUSE:
                who = "".join(f" by process {process}" for process in sorted(_listeners(number))[:1])
                place = f"{host or '0.0.0.0'}:{number}"
                raise PortError(
                    f"Cannot bind to {place}: in use{who}. Serve on another port: --port NUMBER."
                ) from error


def check_free(variable: str, port: int) -> None:
    """Check that no other service listens on ``port``: with SO_REUSEPORT both would get some of the requests.

    Raises:
        PortError: one does.
    """
    for process in _listeners(port):
        if process not in _own_family():
            fix = f"Set {variable} to a free port, or to 0 for none."
            raise PortError(f"Cannot bind to port {port}: in use by process {process}. {fix}")


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on ``port``, which other processes may share.

    Raises:
        PortError: it cannot be bound to.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY on no other
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise PortError(f"Cannot bind to {host}:{port}: {error.strerror}.") from error
    bound.listen(BACKLOG)
    bound.setblocking(False)
    return bound


def _listeners(port: int) -> set[int]:
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return set()  # not permitted here; a port cannot be shared with another user either
    return {one.pid for one in connections if one.pid and one.status == psutil.CONN_LISTEN and one.laddr.port == port}


def _own_family() -> set[int]:
    """Return this process and its siblings: the workers that BentoML started with it."""
    me = psutil.Process()
    try:
        parent = me.parent()
        siblings = parent.children() if parent else []
    except psutil.Error:
        siblings = []
    return {me.pid, *(process.pid for process in siblings)}
