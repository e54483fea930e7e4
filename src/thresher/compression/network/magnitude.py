"""Which weights are least, over a network, in a layer, or among few that lie side by side."""

from __future__ import annotations

import math

import torch


def sparsity_at(initial: float, final: float, done: float) -> float:
    """Return the share of zeros after the share ``done`` of a pruning: much at first, little at last.

    Source: Zhu and Gupta, "To prune, or not to prune", 2017: s_f + (s_i - s_f) (1 - t)^3.
    """
    return final + (initial - final) * (1 - done) ** 3


def fits_pattern(weight: torch.Tensor, size: int) -> bool:
    """Return whether the input axis of ``weight`` [outputs, inputs, ...] is made of whole blocks of ``size``."""
    return weight.shape[1] >= size and weight.shape[1] % size == 0


def least_of_each_block(weight: torch.Tensor, kept: int, size: int) -> torch.Tensor:
    """Return which of ``weight`` [outputs, inputs, ...] are not among the ``kept`` largest of their block.

    A block is ``size`` consecutive weights along the input axis, for one output and one place of a kernel.
    """
    last = weight.detach().abs().movedim(1, -1)
    blocks = last.reshape(*last.shape[:-1], -1, size)
    order = blocks.argsort(dim=-1, stable=True)
    least = torch.zeros_like(blocks, dtype=torch.bool).scatter_(-1, order[..., : size - kept], True)
    return least.reshape(last.shape).movedim(-1, 1)


def zero_share(weights: list[torch.Tensor], among: list[torch.Tensor]) -> float:
    """Return the share of zeros among the weights that ``among`` marks."""
    zeros = sum(int(((weight == 0) & marked).sum()) for weight, marked in zip(weights, among, strict=True))
    return zeros / sum(int(marked.sum()) for marked in among)


@torch.no_grad()
def zero_least(weights: list[torch.Tensor], among: list[torch.Tensor], sparsity: float) -> None:
    """Set the least of those that ``among`` marks to zero, in place, until the share ``sparsity`` of them is.

    Of weights alike, those that come first go: the share is exact to one weight.
    """
    magnitudes = [
        torch.where(marked, weight.abs(), math.inf).flatten() for weight, marked in zip(weights, among, strict=True)
    ]
    count = round(sparsity * sum(int(marked.sum()) for marked in among))
    gone = torch.zeros(sum(map(len, magnitudes)), dtype=torch.bool)
    gone[torch.cat(magnitudes).argsort(stable=True)[:count]] = True
    for weight, mask in zip(weights, gone.split([weight.numel() for weight in weights]), strict=True):
        weight[mask.reshape(weight.shape)] = 0
