"""The singular value decomposition of a layer's weight, and the two layers that a part of it makes."""

from __future__ import annotations

import torch
from torch import nn

from thresher.models.low_rank import SPLITTABLE, LowRank, as_matrix, split_layer

ROUNDING = 1e-10
"""Share of the energy that a float32 weight does not hold."""
STRAY_ZEROS = 1e-3
"""Share of a layer's weights up to which zeros are chance, not pruning."""


class Decomposition:
    """A layer's weight W [outputs, inputs * places of the kernel] as U diag(s) V.

    Attributes:
        largest: the largest rank at which two layers have fewer weights than there are now; 0 where there is none.
        full: the largest rank that the weight could have.
    """

    def __init__(self, layer: nn.Module) -> None:
        self._layer, weight = layer, as_matrix(layer)
        self._u, self._s, self._v = torch.linalg.svd(weight, full_matrices=False)
        self.full = min(weight.shape)
        self.largest = layer.rank - 1 if isinstance(layer, LowRank) else max(weight.numel() - 1, 0) // sum(weight.shape)

    def rank_for(self, energy: float) -> int:
        """Return the least rank that keeps this share of the squared singular values."""
        kept = self._s.square().cumsum(0) / self._s.square().sum()
        return min(self.full, 1 + int((kept < energy - ROUNDING).sum()))

    def split(self, rank: int) -> LowRank:
        """Return two layers of this rank, the singular values shared evenly: gradients of both are alike in size."""
        split = split_layer(self._layer, rank)
        root = self._s[:rank].sqrt()
        last = self._layer[1] if isinstance(self._layer, LowRank) else self._layer
        with torch.no_grad():
            for layer, weight in zip(split, (root[:, None] * self._v[:rank], self._u[:, :rank] * root), strict=True):
                assert isinstance(layer, SPLITTABLE)
                layer.weight.copy_(weight.reshape(layer.weight.shape))
            if last.bias is not None:
                split[1].bias.copy_(last.bias)  # type: ignore[operator, arg-type]
        return split.eval()


def find_splittable(body: nn.Module) -> dict[str, nn.Module]:
    """Return name -> every linear layer and convolution but grouped ones; of those split already, both as one."""
    found: dict[str, nn.Module] = {}
    inside: set[int] = set()
    for name, layer in body.named_modules():
        if isinstance(layer, LowRank):
            inside.update(map(id, layer))
        elif id(layer) in inside or not isinstance(layer, SPLITTABLE) or getattr(layer, "groups", 1) > 1:
            continue
        found[name] = layer
    return found


def is_pruned(layer: nn.Module) -> bool:
    """Return whether ``layer`` holds zeros, as `prune_weights` leaves them."""
    weights = [weight for weight in layer.parameters() if weight.ndim > 1]
    return any(float((weight == 0).float().mean()) > STRAY_ZEROS for weight in weights if weight.numel())
