"""Structured pruning: whole channels go, so that the file is smaller and the sums are fewer."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from thresher.compression.data import CompressionData
from thresher.config import Config
from thresher.errors import CompressionError

if TYPE_CHECKING:
    from thresher.models.network import Network


class PruneChannels(Config):
    """Remove the least important channels of every layer, with all that depends on them."""

    kind: Literal["prune_channels"] = "prune_channels"
    ratio: float = Field(gt=0, lt=1)
    """Share of each layer's channels (or units) to remove."""
    importance: Literal["l1", "l2"] = "l2"
    """Norm of a channel's weights, summed over the layers that lose it together."""
    scope: Literal["layer", "global"] = "layer"
    """layer: the same share everywhere; global: the least important of the whole network."""
    round_to: int = Field(default=1, ge=1, le=256)
    """Keep a multiple of this many channels, where the hardware wants one."""


def prune_channels(network: Network, config: PruneChannels, data: CompressionData) -> Network:
    """Return a smaller copy of ``network``; its output layer keeps its width.

    Source: Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023, as Torch-Pruning implements it.

    Raises:
        CompressionError: a network whose channels are fixed, or a ratio that removes nothing of it.
    """
    import torch
    import torch_pruning

    from thresher.models import CHANNELS_ARE_FIXED
    from thresher.models.channel_plan import read_channel_plan

    if isinstance(network.spec.model, CHANNELS_ARE_FIXED):
        raise CompressionError(
            f"{data.candidate}: prune_channels cannot prune a {network.spec.model.kind} yet. "
            "Use prune_weights, quantize_dynamic or a smaller model."
        )
    smaller = copy.deepcopy(network).eval()
    # Pruned without its preparation: the graph is traced with gradients, which integers have not.
    with torch.no_grad():
        example = smaller.prepare(torch.from_numpy(network.spec.input.example(2)))
    pruner = torch_pruning.pruner.BasePruner(
        smaller.body,
        example,
        importance=torch_pruning.importance.MagnitudeImportance(p=1 if config.importance == "l1" else 2),
        pruning_ratio=config.ratio,
        global_pruning=config.scope == "global",
        round_to=config.round_to,
        ignored_layers=[smaller.output_layer(), *smaller.embeddings()],
    )
    pruner.step()
    plan = read_channel_plan(smaller.body)
    if plan == read_channel_plan(network.body):
        raise CompressionError(
            f"{data.candidate}: prune_channels with ratio {config.ratio} removes no channel of this network. "
            "Raise ratio or lower round_to."
        )
    smaller.spec = network.spec.model_copy(update={"channel_plan": plan})
    return smaller
