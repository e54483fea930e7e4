"""The settings of a recipe's `serving`; imports only the config base, so that recipes are read quickly."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from thresher.config import Config


class ShadowOptions(Config):
    """A second version that sees a share of the champion's traffic; its answers are compared and never given."""

    version: Literal["challenger"] | PositiveInt = "challenger"
    """A version in the registry, by its number or by the alias `challenger`. Where no version has the alias, the Bento
    is built without a challenger."""
    share: float = Field(default=0.1, gt=0, le=1)
    """The share of the samples that the champion answers."""
    register_loser: bool = Field(default=True, alias="register")
    """Whether a run's winner that does not replace the champion is registered, with the alias `challenger`."""


class Serving(Config):
    """How the service runs the champion."""

    max_batch_size: int = Field(default=64, ge=1, le=65536)
    """Samples that one call of the model takes at most; waiting requests are joined up to it."""
    max_latency_ms: int = Field(default=10, ge=1, le=600_000)
    """The longest that one call of the model may take: the service measures when it starts how many samples that are
    on its machine, and joins no more, though always one. The batcher never waits, so nothing is delayed by it."""
    timeout_ms: int = Field(default=5000, ge=1, le=3_600_000)
    """How long a request may wait for its turn; one that would wait longer is refused at once."""
    workers: int | None = Field(default=None, ge=1, le=1024)
    """Processes that answer, each with the model; by default as many as the cores are enough for, at most 8. The
    variable THRESHER_WORKERS of the machine that serves comes before it."""
    example: Literal["real", "typical"] = "real"
    """What the service shows how to call it with. real: a sample of the test data that the model answers rightly, which
    travels with the model and which everybody who reaches the service can see. typical: one made of what is typical."""
    shadow: ShadowOptions | None = None
    """Whether a challenger is served beside the champion, unseen by clients; none by default."""
