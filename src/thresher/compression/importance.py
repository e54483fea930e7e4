"""How much each channel of a network matters, by the weights that go with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from thresher.compression.data import CompressionData
from thresher.errors import CompressionError

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from thresher.models.network import Network

ImportanceKind = Literal["l1", "l2", "taylor", "batch_norm", "random"]
GRADIENT_SAMPLES, GRADIENT_BATCH = 1024, 128


def build_importance(kind: ImportanceKind, network: Network, data: CompressionData) -> Callable[[Any], torch.Tensor]:
    """Return a function (Torch-Pruning's group) -> importance of each of its channels [C].

    l1, l2: norm of a channel's weights over all layers that lose it together (Li et al. 2017). taylor: the first-order
    change of the training loss without it (Molchanov et al. 2019), whose gradients are left in ``network``.
    batch_norm: its scale (Liu et al. 2017, "Network Slimming"). random: the control, by the training's seed.

    Raises:
        CompressionError: batch_norm, of a network without batch norms.
    """
    import torch
    from torch_pruning import importance as scores

    if kind == "random":
        generator = torch.Generator().manual_seed(data.training.seed)
        return lambda group: torch.rand(len(group[0][1]), generator=generator)
    if kind == "taylor":
        _leave_gradients(network, data)
        return _or_constant(scores.TaylorImportance())
    if kind == "batch_norm":
        if not any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in network.body.modules()):
            raise CompressionError(
                f"{data.candidate}: importance batch_norm needs batch norms, and a {network.spec.model.kind} has none. "
                "Allowed: l1, l2, taylor, random."
            )
        return _or_constant(scores.BNScaleImportance())
    return _or_constant(scores.MagnitudeImportance(p=1 if kind == "l1" else 2))


def _or_constant(score: Callable[[Any], torch.Tensor | None]) -> Callable[[Any], torch.Tensor]:
    """Return ``score`` with equal importances for groups that it knows nothing of, such as those without a norm."""
    import torch

    def scored(group: Any) -> torch.Tensor:
        importance = score(group)
        return torch.ones(len(group[0][1])) if importance is None else importance.detach().cpu()

    return scored


def _leave_gradients(network: Network, data: CompressionData) -> None:
    """Put the gradients of the training loss over some training samples, drawn by the seed, into ``network``."""
    import torch

    from thresher.training.batches import load_batches
    from thresher.training.losses import build_loss

    samples, device = data.training_samples, torch.device("cpu")
    count = min(GRADIENT_SAMPLES, len(samples))
    chosen = np.random.default_rng(data.training.seed).choice(len(samples), count, replace=False)
    loss = build_loss(network.spec.output, data.training, samples.labels, device)
    network.zero_grad()
    for batch in load_batches(samples.take(np.sort(chosen)), network.spec, device).in_slices(GRADIENT_BATCH):
        (loss.sum(network(batch.inputs).float(), batch.labels) / count).backward()
