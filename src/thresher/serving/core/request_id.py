"""The id of a request, which its answer, the log and its trace name."""

from __future__ import annotations

from itertools import count
from os import urandom

REQUEST_ID = b"x-request-id"
"""The header of HTTP and the key of gRPC's metadata that has it."""
MAX_ID_BYTES = 128

_prefix, _numbers = urandom(4).hex(), count()


def request_id(given: bytes) -> bytes:
    """Return the request's id: the client's own, where it is one that can stand in a header and a log, or a new one."""
    if given and len(given) <= MAX_ID_BYTES and given.isascii() and given.decode().isprintable():
        return given
    return b"%s-%x" % (_prefix.encode(), next(_numbers))
