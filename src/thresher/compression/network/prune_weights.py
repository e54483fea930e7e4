"""Unstructured and N:M pruning: the smallest weights become zero."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator, model_validator

from thresher.compression.data import CompressionData
from thresher.compression.network.finetune import Finetune, finetune
from thresher.config import KindConfig
from thresher.errors import CompressionError
from thresher.events import Step, emit

if TYPE_CHECKING:
    import torch

    from thresher.models.network import Network

UNSTRUCTURED = "unstructured"
PATTERN = rf"^({UNSTRUCTURED}|[1-9]\d{{0,3}}:[1-9]\d{{0,3}})$"


class PruneWeights(KindConfig):
    """Zero the weights of least magnitude; biases, norms and embeddings are left alone.

    A file of zeros compresses better and runs no faster, with N:M neither: ONNX Runtime multiplies by zeros, too. The
    verdict times it like any other candidate.
    """

    kind: Literal["prune_weights"] = "prune_weights"
    sparsity: float | None = Field(default=None, gt=0, lt=1)
    """Share of the weights that are zero afterwards; a pattern N:M has its own, 1 - N/M."""
    pattern: str = Field(default=UNSTRUCTURED, pattern=PATTERN)
    """unstructured, or N:M such as "2:4": of every M consecutive weights along the input axis, N are kept and the
    others are zero. Layers whose inputs are no multiple of M are left alone."""
    scope: Literal["global", "layer"] = "global"
    """global: the least of the whole network; layer: the same share of each matrix and kernel. Of a pattern, in which
    order iterations take them."""
    iterations: int = Field(default=1, ge=1, le=1000)
    """In how many steps the weights go, most of them in the first: after step t of n, the share that is left to prune
    has fallen to (1 - t/n)^3."""
    between: Finetune | None = None
    """Training after each step but the last."""

    @field_validator("pattern", mode="before")
    @classmethod
    def _is_quoted(cls, pattern: object) -> object:
        if isinstance(pattern, int):
            raise ValueError('YAML reads N:M without quotes as a number; write "2:4"')
        return pattern

    @model_validator(mode="after")
    def _fits_together(self) -> PruneWeights:
        if (self.pattern == UNSTRUCTURED) == (self.sparsity is None):
            raise ValueError('give one of sparsity and a pattern such as "2:4"')
        if self.pattern != UNSTRUCTURED and self.kept >= self.block:
            raise ValueError(f"pattern N:M keeps N of M weights, fewer than M; got {self.pattern}")
        if (self.iterations == 1) != (self.between is None):
            raise ValueError("iterations of 2 or more and between need each other: magnitudes change by training alone")
        return self

    @property
    def kept(self) -> int:
        """N of a pattern N:M."""
        return int(self.pattern.split(":")[0])

    @property
    def block(self) -> int:
        """M of a pattern N:M."""
        return int(self.pattern.split(":")[1])


def prune_weights(network: Network, config: PruneWeights, data: CompressionData) -> Network:
    """Return a copy of ``network`` with its smallest weights at zero; finetuning keeps them there.

    Source: Han et al., "Learning both Weights and Connections for Efficient Neural Networks", NeurIPS 2015, globally or
    by layer; step by step as in Zhu and Gupta, "To prune, or not to prune", 2017; N:M as in Mishra et al.,
    "Accelerating Sparse Deep Neural Networks", 2021.

    Raises:
        CompressionError: no weight is zeroed, a layer would have none left, or no layer has inputs for the pattern.
        TrainingError: a loss between steps that is not finite.
    """
    names = _choose_layers(network, config, data)
    groups = [names] if config.scope == "global" else [[name] for name in names]
    initial = [_zero_share(network, group, config) for group in groups]
    sparse = copy.deepcopy(network)
    for iteration in range(1, config.iterations + 1):
        for group, share in zip(groups, initial, strict=True):
            _prune(sparse, group, config, share, iteration / config.iterations)
        _check_layers(network, sparse, names, config, data)
        if config.between is not None and iteration < config.iterations:
            sparse = finetune(sparse, config.between, data)
    return sparse


def _choose_layers(network: Network, config: PruneWeights, data: CompressionData) -> list[str]:
    """Return the names of the weights that are pruned; say which the pattern leaves out."""
    from thresher.compression.network.magnitude import fits_pattern

    prunable = {id(weight) for weight in network.prunable_weights()}
    weights = {name: weight for name, weight in network.body.named_parameters() if id(weight) in prunable}
    weights = {name: weight for name, weight in weights.items() if weight.numel()}
    if config.pattern == UNSTRUCTURED:
        return list(weights)
    fitting = [name for name, weight in weights.items() if fits_pattern(weight, config.block)]
    left = ", ".join(f"{name} ({weight.shape[1]})" for name, weight in weights.items() if name not in fitting)
    if not fitting:
        raise CompressionError(
            f"{data.candidate}: prune_weights with pattern {config.pattern} needs layers whose inputs are a multiple "
            f"of {config.block}; this network has {left}. Use another pattern, or sparsity."
        )
    if left:
        emit(Step(f"prune_weights: {config.pattern} leaves alone, by their number of inputs: {left}"))
    return fitting


def _prune(sparse: Network, names: list[str], config: PruneWeights, initial: float, done: float) -> None:
    """Zero in place what is to be zero after the share ``done`` of the steps, if ``initial`` was before the first."""
    from thresher.compression.network.magnitude import sparsity_at, zero_least

    weights, final = _weights(sparse, names), 1.0 if config.sparsity is None else config.sparsity
    if initial < final:
        zero_least(weights, _marked(weights, config), sparsity_at(initial, final, done))


def _zero_share(network: Network, names: list[str], config: PruneWeights) -> float:
    from thresher.compression.network.magnitude import zero_share

    weights = _weights(network, names)
    return zero_share(weights, _marked(weights, config))


def _weights(network: Network, names: list[str]) -> list[torch.Tensor]:
    return [network.body.get_parameter(name).data for name in names]


def _marked(weights: list[torch.Tensor], config: PruneWeights) -> list[torch.Tensor]:
    """Return for each weight which of it may go."""
    import torch

    from thresher.compression.network.magnitude import least_of_each_block

    if config.pattern == UNSTRUCTURED:
        return [torch.ones_like(weight, dtype=torch.bool) for weight in weights]
    return [least_of_each_block(weight, config.kept, config.block) for weight in weights]


def _check_layers(
    network: Network, sparse: Network, names: list[str], config: PruneWeights, data: CompressionData
) -> None:
    before, after = (
        {name: int(weight.count_nonzero()) for name, weight in zip(names, _weights(each, names), strict=True)}
        for each in (network, sparse)
    )
    if before == after:
        raise CompressionError(
            f"{data.candidate}: prune_weights zeroes none of the {sum(before.values()):,} weights that are not zero. "
            "Raise sparsity, or leave it out."
        )
    if empty := [name for name in names if before[name] and not after[name]]:
        raise CompressionError(
            f"{data.candidate}: prune_weights would leave {empty[0]} none of its {before[empty[0]]:,} weights. "
            f"Lower sparsity{', or set scope: layer' if config.scope == 'global' else ''}."
        )
