"""Activation checkpointing: what the backward pass needs is computed again instead of kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

Forward = Callable[..., Any]
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def recompute(body: nn.Module) -> None:
    """Make ``body`` keep the inputs of its blocks alone (Chen et al., "Training Deep Nets with Sublinear Memory Cost").

    A chain of n layers is cut into about sqrt(n) blocks; of any other body, every child is one, and a child that is a
    chain is cut. Gradients, dropout and batch norms' statistics stay what they are.
    """
    if isinstance(body, nn.Sequential):
        _cut(body)
        return
    for child in _blocks(body):
        if isinstance(child, nn.Sequential):
            _cut(child)
        else:
            _replace_forward(child, _kept(child.forward, [child]))


def stop_recomputing(body: nn.Module) -> None:
    """Undo what `recompute` did."""
    for module in body.modules():
        module.__dict__.pop("forward", None)


def _blocks(body: nn.Module) -> Iterator[nn.Module]:
    for child in body.children():
        if isinstance(child, nn.ModuleList):
            yield from child
        elif any(True for _ in child.parameters()):
            yield child


def _cut(chain: nn.Sequential) -> None:
    layers = list(chain)
    length = math.ceil(math.sqrt(len(layers)))
    blocks = [layers[start : start + length] for start in range(0, len(layers), length)]
    parts = [_kept(_one_after_another(block), block) for block in blocks]
    _replace_forward(chain, _one_after_another(parts))


def _one_after_another(functions: list[Any]) -> Forward:
    def forward(value: torch.Tensor) -> torch.Tensor:
        for function in functions:
            value = function(value)
        return value

    return forward


def _kept(forward: Forward, modules: list[nn.Module]) -> Forward:
    """Return ``forward`` of ``modules``, computed again in the backward pass."""
    norms = [
        inner
        for module in modules
        for inner in module.modules()
        if isinstance(inner, BATCH_NORMS) and inner.track_running_stats
    ]

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _without_statistics(norms)

    def recomputed(*arguments: Any, **named: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*arguments, **named)
        return checkpoint(forward, *arguments, use_reentrant=False, context_fn=contexts, **named)

    return recomputed


@contextmanager
def _without_statistics(norms: list[Any]) -> Iterator[None]:
    """Let batch norms normalize by the batch and count it no second time."""
    before = [(norm, norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        # They still take part in the sums: a recomputation must save the same tensors.
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, momentum, count in before:
            norm.momentum, norm.num_batches_tracked = momentum, count


def _replace_forward(module: nn.Module, forward: Forward) -> None:
    module.__dict__["forward"] = forward
