"""TLS on every port of a service: `bentoml serve --ssl-certfile ...` alone would leave the ports beside BentoML's own
without it."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc

from thresher.serving.sockets import GRPC_PORT, PortError

PREFIX = "--ssl-"
NOT_FOR_GRPC = {
    "keyfile-password": "gRPC takes a key without a password alone",
    "version": "gRPC chooses the version of TLS itself, 1.2 or 1.3",
    "ciphers": "gRPC takes them from the variable GRPC_SSL_CIPHER_SUITES alone",
}
"""Options that only the HTTP ports support -> why gRPC does not."""
DEFAULTS = {"version": str(int(ssl.PROTOCOL_TLS_SERVER)), "ciphers": "TLSv1"}
"""The values that BentoML passes by default: the newest version on both sides, and uvicorn's ciphers."""


@dataclass(frozen=True)
class Tls:
    """The TLS options of `bentoml serve`, which passes them to each worker process."""

    options: dict[str, str]
    """Option without `--ssl-` -> value."""

    def for_uvicorn(self) -> dict[str, Any]:
        """Return uvicorn's options of the same meaning."""
        numbers = {"version", "cert-reqs"}
        return {
            f"ssl_{name.replace('-', '_')}": int(value) if name in numbers else value
            for name, value in self.options.items()
        }

    def for_grpc(self) -> grpc.ServerCredentials:
        """Return the credentials of gRPC's server.

        Raises:
            PortError: gRPC does not support an option, or a file cannot be read.
        """
        options = self.options
        for name, why in NOT_FOR_GRPC.items():
            if options.get(name, DEFAULTS.get(name)) != DEFAULTS.get(name):
                raise _refuse(f"--ssl-{name} is not supported on the gRPC port: {why}.")
        verify = int(options.get("cert-reqs", ssl.CERT_NONE))
        if verify == ssl.CERT_OPTIONAL:
            raise _refuse(
                "--ssl-cert-reqs 1 is not supported on the gRPC port: gRPC asks all clients for one, or none."
            )
        if verify and "ca-certs" not in options:
            raise _refuse("--ssl-cert-reqs needs --ssl-ca-certs, by which the clients' certificates are verified.")
        certificate = _read(options["certfile"])
        key = _read(options["keyfile"]) if "keyfile" in options else certificate
        authorities = _read(options["ca-certs"]) if verify else None
        return grpc.ssl_server_credentials([(key, certificate)], authorities, bool(verify))


def chosen_tls(arguments: Sequence[str] | None = None) -> Tls | None:
    """Return the TLS options of this worker process; None where its ports have no TLS."""
    arguments = sys.argv if arguments is None else arguments
    pairs = pairwise(arguments)
    options = {name.removeprefix(PREFIX): value for name, value in pairs if name.startswith(PREFIX)}
    return Tls(options) if "certfile" in options else None


def check_tls(arguments: Sequence[str] | None = None) -> None:
    """Check the files of TLS, before uvicorn fails on them in each worker.

    Raises:
        PortError: a file is missing or damaged.
    """
    arguments = sys.argv if arguments is None else arguments
    tls = chosen_tls(arguments)
    if tls is None and f"{PREFIX}keyfile" in arguments:
        raise PortError("--ssl-keyfile without --ssl-certfile. Give both, or neither for ports without TLS.")
    options = tls.options if tls else {}
    files = [options[name] for name in ("certfile", "keyfile", "ca-certs") if name in options]
    for path in files:
        _read(path)
    try:
        context, password = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), options.get("keyfile-password", "")
        if tls:
            context.load_cert_chain(options["certfile"], options.get("keyfile"), lambda: password)
        if "ca-certs" in options:
            context.load_verify_locations(options["ca-certs"])
    except (ssl.SSLError, OSError, ValueError) as error:
        said = error.reason if isinstance(error, ssl.SSLError) and error.reason else str(error)
        given = " and ".join(files)
        text = f"{given}: not a certificate with its key in PEM ({said}). Give --ssl-certfile and --ssl-keyfile."
        raise PortError(text) from error


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise PortError(f"{path} cannot be read: {error.strerror}.") from error


def _refuse(why: str) -> PortError:
    return PortError(f"{why} All ports must have TLS alike. Set {GRPC_PORT}=0 to serve without gRPC.")
