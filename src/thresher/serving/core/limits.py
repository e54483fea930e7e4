"""Bounds that hold for a request by whatever protocol it comes."""

from __future__ import annotations

MAX_BODY_BYTES = 32 * 2**20
"""The most bytes of one request, before and after it is decompressed."""
MAX_BODY_SECONDS = 30.0
"""The seconds that a client has to send a request."""
MAX_SAMPLES_BYTES = 256 * 2**20
"""The most bytes of one request's encoded samples: a small body can hold many short ones, which are padded to the
longest."""
