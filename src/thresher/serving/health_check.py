"""The container's health check: asks the service whether it is ready, on whatever port it was told to listen.

It runs as a file, by a Python without our packages.
"""

import http.client
import json
import os
import socket
import ssl
import sys
import tempfile
from pathlib import Path

SECONDS = 4.0
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def address_file() -> Path:
    """Return the file in which the service writes its address."""
    return Path(tempfile.gettempdir()) / "thresher_address.json"


def write_address(host: str, port: int, tls: bool, wants_certificate: bool) -> None:
    """Write the address of the service, and whether its clients need a certificate."""
    file = address_file()
    new = file.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps([host, port, tls, wants_certificate]))
    new.replace(file)


def is_ready() -> bool:
    """Return whether the service answers that it is ready; where it demands a client's certificate, whether it
    listens."""
    try:
        host, port, tls, wants_certificate = json.loads(address_file().read_text())
        host = ANYWHERE.get(host, host)
        if wants_certificate:
            socket.create_connection((host, port), SECONDS).close()
            return True
        connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is of the name that clients use
            connection = http.client.HTTPSConnection(host, port, timeout=SECONDS, context=context)
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, ValueError, http.client.HTTPException):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_ready() else 1)
