"""What a recipe says of serving; no import beyond the config base, so that reading a recipe stays quick."""

from __future__ import annotations

from pydantic import Field

from thresher.config import Config


class Serving(Config):
    """How the service runs the champion."""

    max_batch_size: int = Field(default=64, ge=1, le=65536)
    """Samples that one call of the model takes at most; waiting requests are joined up to it."""
    max_latency_ms: int = Field(default=10, ge=1, le=600_000)
    """The latency to keep. The batcher never waits, so nothing is delayed by it: /metrics counts what missed it."""
