"""Learning-rate schedules: each is a function of the step alone, so that none has a state to keep."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from thresher.config import Config


class _Schedule(Config):
    warmup: float = Field(default=0.0, ge=0, lt=1)
    """Share of all steps over which the rate rises from 0 in a straight line, before the schedule begins."""


class Constant(_Schedule):
    """The optimizer's rate from first to last."""

    kind: Literal["constant"] = "constant"


class Step(_Schedule):
    """The rate times ``factor`` at each of ``at``."""

    kind: Literal["step"] = "step"
    at: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(default=(0.5, 0.75), min_length=1)
    """Shares of the steps after the warm-up."""
    factor: float = Field(default=0.1, gt=0, lt=1)


class Cosine(_Schedule):
    """Half a cosine down to ``final`` times the rate (Loshchilov and Hutter 2017, without restarts)."""

    kind: Literal["cosine"] = "cosine"
    final: float = Field(default=0.0, ge=0, lt=1)


class OneCycle(Config):
    """Up to the optimizer's rate and down to almost nothing, both by half a cosine (Smith and Topin 2018)."""

    kind: Literal["one_cycle"] = "one_cycle"
    rise: float = Field(default=0.3, gt=0, lt=1)
    """Share of the steps that goes up."""
    start: float = Field(default=0.04, gt=0, lt=1)
    """Of the rate, at the first step."""
    final: float = Field(default=1e-4, ge=0, lt=1)
    """Of the rate, at the last step."""


Schedule = Annotated[Constant | Step | Cosine | OneCycle, Field(discriminator="kind")]


def rate_factor(config: Schedule, step: int, total_steps: int) -> float:
    """Return what the optimizer's rate is multiplied with at ``step``, which counts from 0."""
    warmup = getattr(config, "warmup", 0.0) * total_steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = (step - warmup) / max(total_steps - warmup - 1, 1)
    return FACTOR[type(config)](config, min(done, 1.0))


def _step(config: Step, done: float) -> float:
    return config.factor ** sum(done >= at for at in config.at)


def _cosine(config: Cosine, done: float) -> float:
    return _swing(1.0, config.final, done)


def _one_cycle(config: OneCycle, done: float) -> float:
    if done < config.rise:
        return _swing(config.start, 1.0, done / config.rise)
    return _swing(1.0, config.final, (done - config.rise) / (1 - config.rise))


def _swing(first: float, last: float, done: float) -> float:
    """Return the value of half a cosine from ``first`` to ``last``."""
    return last + (first - last) * (1 + math.cos(math.pi * done)) / 2


FACTOR: dict[type, Callable[[Any, float], float]] = {
    Constant: lambda config, done: 1.0,
    Step: _step,
    Cosine: _cosine,
    OneCycle: _one_cycle,
}
"""Config type -> function (config, share of the steps done after the warm-up) -> factor."""
