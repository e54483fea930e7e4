"""gRPC over HTTP/2 as bytes: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md."""

from __future__ import annotations

import re
import struct
import zlib
from urllib.parse import quote

from grpc import StatusCode

from thresher.serving.body import MAX_BODY_BYTES
from thresher.serving.rpc.refusals import CallError, Refusal

PREFIX = struct.Struct(">BI")
"""Before each message: whether it is compressed, and its length."""
WINDOW_BITS = {b"gzip": 31, b"deflate": 15}
ENCODINGS = b"identity,deflate,gzip"
UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
TIMEOUT = re.compile(rb"(\d{1,8})([HMSmun])")
UNESCAPED = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")

Fields = list[tuple[bytes, bytes]]


def read_deadline(given: bytes | None) -> float | None:
    """Return the seconds in a header `grpc-timeout`; None where there is none.

    Raises:
        CallError: it is malformed.
    """
    if given is None:
        return None
    match = TIMEOUT.fullmatch(given)
    if not match:
        raise CallError(StatusCode.INVALID_ARGUMENT, "The header grpc-timeout is malformed.")
    return int(match[1]) * UNITS[match[2]]


def check_size(buffer: bytearray) -> int:
    """Return the length of the first message in ``buffer`` with its prefix; without a prefix yet, that of one.

    Raises:
        CallError: the message is too large.
    """
    if len(buffer) < PREFIX.size:
        return PREFIX.size
    _, length = PREFIX.unpack_from(buffer)
    if length > MAX_BODY_BYTES:
        text = f"Received message larger than max ({length} vs. {MAX_BODY_BYTES})"
        raise CallError(StatusCode.RESOURCE_EXHAUSTED, text)
    return PREFIX.size + length


def take_message(buffer: bytearray, encoding: bytes) -> bytes | None:
    """Remove and return the first message of ``buffer``; None where it is not whole yet.

    Raises:
        CallError: it is too large, or compressed in a way that is not known.
    """
    end = check_size(buffer)
    if len(buffer) < PREFIX.size or len(buffer) < end:
        return None
    is_compressed = buffer[0]
    message = bytes(memoryview(buffer)[PREFIX.size : end])
    del buffer[:end]
    if is_compressed > 1:
        raise CallError(StatusCode.INVALID_ARGUMENT, "A message begins with 0 or, where it is compressed, with 1.")
    return _decompress(message, encoding) if is_compressed else message


def frame(message: bytes) -> bytes:
    """Return ``message`` as it is sent, not compressed."""
    return PREFIX.pack(0, len(message)) + message


def trailers(refusal: Refusal) -> Fields:
    """Return the fields that end a call."""
    fields: Fields = [(b"grpc-status", b"%d" % refusal.status.value[0])]
    if refusal.details:
        fields.append((b"grpc-message", quote(refusal.details, safe=UNESCAPED).encode()))
    return fields + [(name.encode(), value.encode()) for name, value in refusal.metadata]


def _decompress(message: bytes, encoding: bytes) -> bytes:
    bits = WINDOW_BITS.get(encoding)
    if bits is None:
        raise CallError(StatusCode.UNIMPLEMENTED, f"Compressed, but grpc-encoding is none of {ENCODINGS.decode()}.")
    decompressor = zlib.decompressobj(bits)
    try:
        content = decompressor.decompress(message, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise CallError(StatusCode.INVALID_ARGUMENT, f"Not compressed with {encoding.decode()}.") from error
    if len(content) > MAX_BODY_BYTES:
        raise CallError(StatusCode.RESOURCE_EXHAUSTED, f"Decompressed message larger than max ({MAX_BODY_BYTES})")
    if not decompressor.eof:
        raise CallError(StatusCode.INVALID_ARGUMENT, "The compressed message breaks off.")
    return content
