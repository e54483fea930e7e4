"""Optimizers by name: torch's own, with torch's own defaults unless a recipe says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from thresher.config import KindConfig
from thresher.kinds.field import KindOf
from thresher.kinds.record import OptimizerKind
from thresher.kinds.registry import kind_of

if TYPE_CHECKING:
    import torch

    from thresher.models.network import Network


RATE_FACTOR = "rate_factor"
"""Of a group of weights, what its learning rate is multiplied by."""
Beta = Annotated[float, Field(ge=0, lt=1)]


class OptimizerConfig(KindConfig):
    """What the settings of every optimizer have."""

    lr: float


class _Optimizer(OptimizerConfig):
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """L2 penalty; decoupled in adamw and muon."""


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


class Adagrad(_Optimizer):
    """Divides by the sum of all squared gradients so far (Duchi et al. 2011)."""

    kind: Literal["adagrad"] = "adagrad"
    lr: float = Field(default=0.01, gt=0, le=10)
    lr_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)


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


class NAdam(_Optimizer):
    """Adam with Nesterov's momentum (Dozat 2016)."""

    kind: Literal["nadam"] = "nadam"
    lr: float = Field(default=0.002, gt=0, le=10)
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    momentum_decay: float = Field(default=0.004, ge=0, allow_inf_nan=False)


class Muon(_Optimizer):
    """Orthogonalized momentum for the matrices of hidden layers (Jordan et al. 2024); AdamW for all other weights.

    Others are biases, norms, convolutions, embeddings and the output layer. One rate serves both: that of the
    matrices is scaled to the size of AdamW's updates (Liu et al., "Muon is Scalable for LLM Training", 2025).
    """

    kind: Literal["muon"] = "muon"
    lr: float = Field(default=0.001, gt=0, le=10)
    momentum: float = Field(default=0.95, ge=0, lt=1)
    nesterov: bool = True
    weight_decay: float = Field(default=0.1, ge=0, allow_inf_nan=False)


class Lbfgs(OptimizerConfig):
    """Limited-memory BFGS (Liu and Nocedal 1989); a step is up to ``max_iter`` iterations on one batch.

    It measures its steps on one loss, and so wants batch_size: full.
    """

    kind: Literal["lbfgs"] = "lbfgs"
    lr: float = Field(default=1.0, gt=0, le=10)
    max_iter: int = Field(default=20, ge=1, le=10_000)
    history_size: int = Field(default=100, ge=1, le=10_000)
    line_search_fn: Literal["strong_wolfe"] | None = "strong_wolfe"
    """None takes every step at full length, as torch does by default."""


Optimizer = Annotated[OptimizerConfig, KindOf(OptimizerKind)]


def build_optimizers(config: Optimizer, network: Network) -> list[torch.optim.Optimizer]:
    """Return the optimizer of that name over all weights of ``network``; of one for matrices alone, AdamW beside it.

    Weights that the network freezes are left out, and need no gradient from then on.
    """
    factors = _freeze(network)
    learned = [weight for weight in network.parameters() if weight.requires_grad]
    if not kind_of(OptimizerKind, config).matrices_only:
        return [_build(config, learned, factors)]
    matrices = [weight for weight in hidden_matrices(network) if weight.requires_grad]
    known = set(map(id, matrices))
    others = [weight for weight in learned if id(weight) not in known]
    settings = config.model_dump(include={"lr", "weight_decay"})
    beside = AdamW.model_validate(settings)
    parts: list[tuple[Optimizer, list[torch.nn.Parameter]]] = [(config, matrices), (beside, others)]
    return [_build(part, weights, factors) for part, weights in parts if weights]


def measures_steps(config: Optimizer) -> bool:
    """Return whether the optimizer calls the loss several times a step, and so wants all samples in one batch."""
    return kind_of(OptimizerKind, config).measures_steps


def hidden_matrices(network: Network) -> list[torch.nn.Parameter]:
    """Return the weights that muon orthogonalizes: 2-D, in neither an embedding nor the output layer."""
    left_out = {id(weight) for weight in network.output_layer().parameters()}
    for table in network.embeddings():
        left_out.update(id(weight) for weight in table.parameters())
    return [weight for weight in network.parameters() if weight.ndim == 2 and id(weight) not in left_out]


def _freeze(network: Network) -> dict[int, float]:
    """Have frozen weights need no gradient; return what the rates of the others are multiplied by, by their ids."""
    factors = network.rate_factors()
    by_weight = {id(weight): factors.get(name, 1.0) for name, weight in network.named_parameters()}
    for weight in network.parameters():
        weight.requires_grad_(by_weight[id(weight)] > 0)
    return by_weight


def _groups(
    weights: list[torch.nn.Parameter], factors: Mapping[int, float]
) -> list[torch.nn.Parameter] | list[dict[str, Any]]:
    """Return ``weights`` as torch takes them: as a list, or one group for each factor of the rate."""
    groups: dict[float, list[torch.nn.Parameter]] = {}
    for weight in weights:
        groups.setdefault(factors[id(weight)], []).append(weight)
    if set(groups) <= {1.0}:
        return weights
    return [{"params": group, RATE_FACTOR: factor} for factor, group in groups.items()]


def _build(config: Optimizer, weights: list[torch.nn.Parameter], factors: Mapping[int, float]) -> torch.optim.Optimizer:
    kind = kind_of(OptimizerKind, config)
    # Fused where torch has it: one kernel a step.
    options: dict[str, Any] = {**config.model_dump(exclude={"kind"}), **dict(kind.options)}
    optimizer: torch.optim.Optimizer = kind.load()(_groups(weights, factors), **options)
    for group in optimizer.param_groups:
        group["lr"] *= group.setdefault(RATE_FACTOR, 1.0)
    return optimizer
