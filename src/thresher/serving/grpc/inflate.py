"""Messages that come compressed, decompressed within a bound, which gRPC's core does not know."""

from __future__ import annotations

import zlib

from grpc import StatusCode

from thresher.errors import InvalidInputError
from thresher.serving.grpc.status import CallError

GZIP, DEFLATE = 31, 15
"""The window bits by which zlib knows both."""


def inflate(message: bytes, most_bytes: int) -> bytes:
    """Return ``message`` decompressed, where it is gzip or deflate; else as it is.

    The core does not say which it is, but no message of protobuf begins as gzip does: a tag of wire type 7. As
    deflate does begins a field 15, which no message here has, and its checksum tells.

    Raises:
        CallError: it becomes larger than ``most_bytes``.
        InvalidInputError: it is damaged, or breaks off.
    """
    if message[:3] == b"\x1f\x8b\x08":
        return _inflate(message, GZIP, most_bytes)
    if message[:1] == b"\x78" and len(message) > 1 and int.from_bytes(message[:2], "big") % 31 == 0:
        return _inflate(message, DEFLATE, most_bytes)
    return message


def _inflate(message: bytes, window_bits: int, most_bytes: int) -> bytes:
    decompressor = zlib.decompressobj(window_bits)
    try:
        content = decompressor.decompress(message, most_bytes + 1)
    except zlib.error as error:
        raise InvalidInputError("The compressed message is damaged.") from error
    if len(content) > most_bytes:
        text = f"Received message larger than max (more than {most_bytes} bytes once decompressed)"
        raise CallError(StatusCode.RESOURCE_EXHAUSTED, text)
    if not decompressor.eof:
        raise InvalidInputError("The compressed message breaks off.")
    return content
