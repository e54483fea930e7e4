"""A schedule that falls quickly at first and never ends."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from thresher.config import KindConfig


class InverseRoot(KindConfig):
    """The rate over the root of the steps done (Vaswani et al. 2017, without their scale)."""

    kind: Literal["inverse_root"] = "inverse_root"
    warmup: float = Field(default=0.0, ge=0, lt=1)
    """Share of all steps over which the rate rises from 0 in a straight line, before the schedule begins."""
    steepness: float = Field(default=8.0, gt=0, le=1000)
    """At the last step the rate is divided by the root of 1 + this."""


def inverse_root(config: InverseRoot, done: float) -> float:
    """Return the factor after the share ``done`` of the steps."""
    return (1 + config.steepness * done) ** -0.5
