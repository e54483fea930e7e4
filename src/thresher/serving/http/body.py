"""Reads a request's body within bounds of size; the time that it may take is the server's to bound."""

from __future__ import annotations

import zlib

from starlette.requests import ClientDisconnect, Request

from thresher.serving.core.decode_thread import decode_in_thread
from thresher.serving.core.errors import MalformedError
from thresher.serving.core.limits import MAX_BODY_BYTES
from thresher.serving.http.reservation import Reservation, reservation_of
from thresher.serving.http.response import HttpError

PIECE_BYTES = 2**20
SLICE_BYTES = 2**16
MAX_MEMBERS = 4096
"""The most members of a gzip body; each takes time, however short it is."""
ENCODINGS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""Content encoding -> zlib's window bits."""
ALLOWED_ENCODINGS = "gzip, deflate, identity"


async def read_body(request: Request, seconds: float | None = None) -> bytes:
    """Return the whole body, uncompressed, never holding more than the limit, however it is sent.

    Args:
        seconds: that a compressed body may wait for its turn.

    Raises:
        HttpError: 413 too large, 400 broken off or damaged, 415 compressed in an unknown way.
        DeadlineError: see `decode_in_thread`.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower() or "identity"
    if encoding != "identity" and encoding not in ENCODINGS:
        text = f"Content-Encoding '{encoding[:100]}' given. Allowed: {ALLOWED_ENCODINGS}."
        raise HttpError(415, text, headers={"Accept-Encoding": ALLOWED_ENCODINGS})
    declared = request.headers.get("content-length", "0")
    if declared.isdigit():
        check_length(int(declared))
    try:
        body = await _collect(request)
    except ClientDisconnect as error:
        raise MalformedError("The body ended early.") from error
    if encoding == "identity":
        return body
    reservation = reservation_of(request.scope)
    return await decode_in_thread(lambda: _decompress(body, encoding, reservation), PIECE_BYTES, seconds)


def check_length(num_bytes: int) -> None:
    """Check that a body may be of ``num_bytes``.

    Raises:
        HttpError: 413 it is too large.
    """
    if num_bytes > MAX_BODY_BYTES:
        # The rest of the body stays unread, so this connection can carry no other request.
        text = f"The body is larger than {MAX_BODY_BYTES // 2**20} MiB. Send less at a time."
        raise HttpError(413, text, headers={"Connection": "close"})


def too_slow(seconds: float) -> HttpError:
    """Return the error of a request that has not arrived after ``seconds``."""
    return HttpError(408, f"The request took more than {seconds:g} s to arrive.")


async def _collect(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        check_length(len(body))
    return bytes(body)


def _decompress(body: bytes, encoding: str, reservation: Reservation) -> bytes:
    """Return ``body`` uncompressed; of gzip, all its members.

    Raises:
        HttpError: 400 damaged or cut short, 413 too large uncompressed.
        OverloadedError: other requests hold too many bytes.
    """
    window = ENCODINGS[encoding]
    if encoding == "deflate" and not _has_zlib_header(body):
        window = -window  # some send it without the header that the standard asks for
    whole, start, num_members, packed = bytearray(), 0, 0, memoryview(body)
    try:
        while start < len(body) or not whole:
            if num_members == MAX_MEMBERS:
                raise MalformedError(f"The body has more than {MAX_MEMBERS:,} gzip members. Compress it as one.")
            num_members += 1
            unpacker = zlib.decompressobj(window)
            while not unpacker.eof:
                # In slices: zlib copies what it leaves of one, which for a whole body would be very many bytes.
                given = packed[start : start + SLICE_BYTES]
                piece = unpacker.decompress(given, PIECE_BYTES)
                if not piece and not given:
                    raise MalformedError(f"The body ends in the middle of its {encoding}.")
                reservation.grow(len(piece))
                whole += piece
                check_length(len(whole))
                start += len(given) - len(unpacker.unconsumed_tail) - len(unpacker.unused_data)
            if encoding == "deflate" or _is_padding(body, start):  # gzip may be padded with zeros
                break
    except zlib.error as error:
        raise MalformedError(f"The body is not {encoding}, though its Content-Encoding is.") from error
    if not _is_padding(body, start):
        raise MalformedError(f"{len(body) - start:,} bytes follow the end of the {encoding}.")
    return bytes(whole)


def _is_padding(body: bytes, start: int) -> bool:
    return body[start : start + 1] in (b"", b"\0") and not body[start:].strip(b"\0")


def _has_zlib_header(body: bytes) -> bool:
    return len(body) >= 2 and body[0] & 0x0F == zlib.DEFLATED and int.from_bytes(body[:2]) % 31 == 0
