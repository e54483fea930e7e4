"""Reads a request's body within bounds of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

MAX_BODY_BYTES = 32 * 2**20
MAX_BODY_SECONDS = 30.0
LARGE_BODY_BYTES = 128 * 2**10

Decoded = TypeVar("Decoded")

# Large bodies are decoded one after another beside the event loop: health checks stay quick, and the many
# Python objects of a large JSON document exist once, not once a request.
_large_bodies = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decoding")


async def decode_beside(decode: Callable[[], Decoded], num_bytes: int) -> Decoded:
    """Return what ``decode`` does, beside the event loop where the body of ``num_bytes`` is large."""
    if num_bytes < LARGE_BODY_BYTES:
        return decode()
    return await asyncio.get_running_loop().run_in_executor(_large_bodies, decode)


async def read_body(request: Request) -> bytes:
    """Return the whole body, never holding more than the limit, however it is sent.

    Raises:
        HTTPException: 413 too large, 408 too slow, 400 broken off, 415 compressed.
    """
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise HTTPException(415, f"Content-Encoding '{encoding}' given. Send the body uncompressed.")
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise _too_large()
    try:
        async with asyncio.timeout(MAX_BODY_SECONDS):
            return await _collect(request)
    except TimeoutError as error:
        raise too_slow(MAX_BODY_SECONDS) from error
    except ClientDisconnect as error:
        raise HTTPException(400, "The body broke off.") from error


async def _collect(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
    return bytes(body)


def too_slow(seconds: float) -> HTTPException:
    """Return the refusal of a request whose body is not there after ``seconds``."""
    return HTTPException(408, f"The body took more than {seconds:g} s to arrive.")


def _too_large() -> HTTPException:
    # The rest of the body stays unread, so this connection can carry no other request.
    text = f"The body is larger than {MAX_BODY_BYTES // 2**20} MiB. Send less at a time."
    return HTTPException(413, text, headers={"Connection": "close"})
