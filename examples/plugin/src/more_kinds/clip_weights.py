"""Weights far from the others are brought nearer: eight bits then have a narrower range to cover."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from thresher.compression.data import CompressionData
from thresher.config import KindConfig

if TYPE_CHECKING:
    from thresher.models.network import Network


class ClipWeights(KindConfig):
    """Clip each matrix and kernel to some standard deviations around its mean; finetuning makes up for it."""

    kind: Literal["clip_weights"] = "clip_weights"
    deviations: float = Field(default=3.0, gt=0, le=100)
    """Of the weights of one layer, between its mean and what is left as it is."""


def clip_weights(network: Network, config: ClipWeights, data: CompressionData) -> Network:
    """Return a copy of ``network`` with clipped weights."""
    import torch

    clipped = copy.deepcopy(network)
    with torch.no_grad():
        for weight in clipped.prunable_weights():
            reach = config.deviations * weight.std(correction=0)
            weight.clamp_(weight.mean() - reach, weight.mean() + reach)
    return clipped
