"""Learning-rate schedules: each is a function of the step alone, so that none has a state to keep."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from thresher.config import KindConfig
from thresher.kinds.field import KindOf
from thresher.kinds.record import ScheduleKind
from thresher.kinds.registry import kind_of


class _Schedule(KindConfig):
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


class OneCycle(KindConfig):
    """Up to the optimizer's rate and down to almost nothing, both by half a cosine (Smith and Topin 2018)."""

    kind: Literal["one_cycle"] = "one_cycle"
    rise: float = Field(default=0.3, gt=0, lt=1)
    """Share of the steps that goes up."""
    start: float = Field(default=0.04, gt=0, lt=1)
    """The share of the rate at the first step."""
    final: float = Field(default=1e-4, ge=0, lt=1)
    """The share of the rate at the last step."""


Schedule = Annotated[KindConfig, KindOf(ScheduleKind)]


def rate_factor(config: Schedule, step: int, total_steps: int) -> float:
    """Return what the optimizer's rate is multiplied with at ``step``, which counts from 0."""
    warmup = getattr(config, "warmup", 0.0) * total_steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = (step - warmup) / max(total_steps - warmup - 1, 1)
    factor: float = kind_of(ScheduleKind, config).load()(config, min(done, 1.0))
    return factor


def constant(config: Constant, done: float) -> float:
    """Return 1: the rate stays."""
    return 1.0


def step(config: Step, done: float) -> float:
    """Return the factor after the share ``done`` of the steps."""
    return config.factor ** sum(done >= at for at in config.at)


def cosine(config: Cosine, done: float) -> float:
    """Return the factor after the share ``done`` of the steps."""
    return _swing(1.0, config.final, done)


def one_cycle(config: OneCycle, done: float) -> float:
    """Return the factor after the share ``done`` of the steps."""
    if done < config.rise:
        return _swing(config.start, 1.0, done / config.rise)
    return _swing(1.0, config.final, (done - config.rise) / (1 - config.rise))


def _swing(first: float, last: float, done: float) -> float:
    """Return the value of half a cosine from ``first`` to ``last``."""
    return last + (first - last) * (1 + math.cos(math.pi * done)) / 2
