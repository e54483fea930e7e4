"""Optimizers by name: torch's own, with torch's own defaults unless a recipe says otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from thresher.config import Config

if TYPE_CHECKING:
    import torch


Beta = Annotated[float, Field(ge=0, lt=1)]


class _Optimizer(Config):
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """L2 penalty; decoupled in adamw."""


class Sgd(_Optimizer):
    """Gradient descent, with momentum where it is not 0."""

    kind: Literal["sgd"] = "sgd"
    lr: float = Field(default=0.1, gt=0, le=10)
    momentum: float = Field(default=0.0, ge=0, lt=1)
    nesterov: bool = False

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Sgd:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        return self


class RmsProp(_Optimizer):
    """Divides by a running mean of squared gradients (Tieleman and Hinton 2012)."""

    kind: Literal["rmsprop"] = "rmsprop"
    lr: float = Field(default=0.001, gt=0, le=10)
    momentum: float = Field(default=0.0, ge=0, lt=1)


class Adam(_Optimizer):
    """Kingma and Ba, 2015."""

    kind: Literal["adam"] = "adam"
    lr: float = Field(default=0.001, gt=0, le=10)
    betas: tuple[Beta, Beta] = (0.9, 0.999)


class AdamW(_Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    kind: Literal["adamw"] = "adamw"
    lr: float = Field(default=0.001, gt=0, le=10)
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    weight_decay: float = Field(default=0.01, ge=0, allow_inf_nan=False)


Optimizer = Annotated[Sgd | RmsProp | Adam | AdamW, Field(discriminator="kind")]

TORCH_NAME = {Sgd: "SGD", RmsProp: "RMSprop", Adam: "Adam", AdamW: "AdamW"}
HAS_FUSED = (Sgd, Adam, AdamW)


def build_optimizer(config: Optimizer, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """Return torch's optimizer of that name over ``parameters``, fused where torch has it: one kernel a step."""
    import torch

    options = config.model_dump(exclude={"kind"})
    if isinstance(config, HAS_FUSED):
        options["fused"] = True
    optimizer: torch.optim.Optimizer = getattr(torch.optim, TORCH_NAME[type(config)])(parameters, **options)
    return optimizer
