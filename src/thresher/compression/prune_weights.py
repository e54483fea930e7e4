"""Unstructured pruning: the smallest weights of the whole network become zero."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from thresher.compression.data import CompressionData
from thresher.config import Config
from thresher.errors import CompressionError

if TYPE_CHECKING:
    from thresher.models.network import Network


class PruneWeights(Config):
    """Zero the weights of least magnitude over all layers together.

    A file of zeros compresses better and runs no faster: the verdict times it like any other candidate.
    """

    kind: Literal["prune_weights"] = "prune_weights"
    sparsity: float = Field(gt=0, lt=1)
    """Share of all weights that are zero afterwards; biases, norms and embeddings are left alone."""


def prune_weights(network: Network, config: PruneWeights, data: CompressionData) -> Network:
    """Return a copy of ``network`` with the share ``sparsity`` of its weights at zero; finetuning keeps them there.

    Source: Han et al., "Learning both Weights and Connections for Efficient Neural Networks", NeurIPS 2015, with one
    threshold for the whole network in place of one a layer.

    Raises:
        CompressionError: a sparsity that zeroes nothing.
    """
    import torch

    sparse = copy.deepcopy(network)
    weights = sparse.prunable_weights()
    magnitudes = torch.cat([weight.detach().abs().flatten() for weight in weights])
    count = round(config.sparsity * len(magnitudes))
    if count == 0:
        raise CompressionError(
            f"{data.candidate}: prune_weights with sparsity {config.sparsity} zeroes none of {len(magnitudes)} "
            "weights. Raise sparsity."
        )
    threshold = magnitudes.kthvalue(count).values
    with torch.no_grad():
        for weight in weights:
            weight.mul_(weight.abs() > threshold)
    return sparse
