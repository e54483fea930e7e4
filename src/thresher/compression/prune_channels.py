"""Structured pruning: whole channels go, so that the file is smaller and the sums are fewer."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from thresher.compression.data import CompressionData
from thresher.compression.finetune import Finetune, finetune
from thresher.compression.importance import ImportanceKind, build_importance
from thresher.compression.pruning_groups import ChannelGraph, ChannelGroup
from thresher.config import Config
from thresher.errors import CompressionError, nearest

if TYPE_CHECKING:
    import torch

    from thresher.models.network import Network

LEAST_SHARE = 0.05
"""Of a layer's channels, which a global ranking leaves it: an empty layer cuts the network in two."""


class PruneChannels(Config):
    """Remove the least important channels of every layer, with all that depends on them."""

    kind: Literal["prune_channels"] = "prune_channels"
    ratio: float = Field(gt=0, lt=1)
    """Share of each layer's channels (or units) to remove, rounded to whole ones."""
    ratios: dict[str, Annotated[float, Field(ge=0, lt=1)]] = Field(default_factory=dict)
    """Layer -> its own share in place of `ratio`; 0 leaves it alone."""
    importance: ImportanceKind = "l2"
    """l1, l2: norm of a channel's weights, over the layers that lose it together; taylor: the change of the training
    loss without it, to first order; batch_norm: its scale there; random: the control."""
    scope: Literal["layer", "global"] = "layer"
    """layer: the same share everywhere; global: the least important of the whole network."""
    round_to: int = Field(default=1, ge=1, le=256)
    """Keep a multiple of this many channels, where the hardware wants one; rounded up, so that no less is kept."""
    iterations: int = Field(default=1, ge=1, le=1000)
    """In how many steps of equal size the channels go."""
    between: Finetune | None = None
    """Training after each step but the last."""

    @model_validator(mode="after")
    def _fits_together(self) -> PruneChannels:
        if self.between is not None and self.iterations == 1:
            raise ValueError("between needs iterations of 2 or more")
        if self.ratios and self.scope == "global":
            raise ValueError("ratios are of single layers; scope global ranks all together: give one of the two")
        return self


def prune_channels(network: Network, config: PruneChannels, data: CompressionData) -> Network:
    """Return a smaller copy of ``network``; its output layer keeps its width.

    Source: Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023, as Torch-Pruning implements it; which
    and how many channels go is decided here.

    Raises:
        CompressionError: a network whose channels are fixed, a ratio that removes nothing of it or would leave a layer
            empty, a name that no layer has, or batch_norm without one.
    """
    _check_prunable(network, data)
    smaller = copy.deepcopy(network).eval()
    first = {group.name: group.num_channels for group in ChannelGraph(smaller).groups()}
    if unknown := sorted(config.ratios.keys() - first.keys()):
        hint = nearest(unknown[0], first)
        raise CompressionError(
            f"{data.candidate}: prune_channels.ratios: no layer '{unknown[0]}' can be pruned. {hint}"
        )
    for iteration in range(1, config.iterations + 1):
        smaller = _prune(smaller, config, iteration / config.iterations, first, data)
        if config.between is not None and iteration < config.iterations:
            smaller = finetune(smaller, config.between, data)
    if smaller.spec.channel_plan == _plan(network):
        raise CompressionError(
            f"{data.candidate}: prune_channels with ratio {config.ratio} removes no channel of this network. "
            "Raise ratio or lower round_to."
        )
    return smaller


def _check_prunable(network: Network, data: CompressionData) -> None:
    from thresher.models import CHANNELS_ARE_FIXED

    if isinstance(network.spec.model, CHANNELS_ARE_FIXED):
        raise CompressionError(
            f"{data.candidate}: prune_channels cannot prune a {network.spec.model.kind} yet. "
            "Use prune_weights, quantize_dynamic or a smaller model."
        )


def _prune(
    network: Network, config: PruneChannels, progress: float, first: dict[str, int], data: CompressionData
) -> Network:
    """Return a copy without the share ``progress`` of all channels that are to go in the end.

    Args:
        first: group -> its channels before anything was removed.
    """
    smaller = copy.deepcopy(network).eval()
    score, graph = build_importance(config.importance, smaller, data), ChannelGraph(smaller)
    groups = graph.groups()
    scores = {group.name: _block_scores(group, score(group.members)) for group in groups}
    keep = _kept_globally(groups, scores, config.ratio * progress, first) if config.scope == "global" else {}
    for group in groups:
        ratio = config.ratios.get(group.name, config.ratio) * progress
        kept = keep.get(group.name, round(first[group.name] * (1 - ratio)))
        if gone := _least(group, scores[group.name], _round(kept, group, config, data)):
            graph.remove(group, gone)
    smaller.zero_grad()
    smaller.spec = network.spec.model_copy(update={"channel_plan": _plan(smaller)})
    return smaller


def _block_scores(group: ChannelGroup, importance: torch.Tensor) -> torch.Tensor:
    """Return one importance a channel of a block; of channels that blocks lose together, their mean."""
    return importance[: group.num_channels].reshape(group.parts, -1).mean(dim=0)


def _kept_globally(
    groups: list[ChannelGroup], scores: dict[str, torch.Tensor], ratio: float, first: dict[str, int]
) -> dict[str, int]:
    """Return group -> channels to keep, so that all groups together lose ``ratio`` of theirs.

    The scores of a group have the mean 1, as Torch-Pruning gives them: layers are comparable.
    """
    import torch

    floors = {name: max(1, round(LEAST_SHARE * count)) for name, count in first.items()}
    ranked = torch.cat([scores[group.name] for group in groups])
    owners = [group.name for group in groups for _ in range(len(scores[group.name]))]
    parts = {group.name: group.parts for group in groups}
    kept = {group.name: group.num_channels for group in groups}
    left = sum(kept.values()) - round(sum(first.values()) * (1 - ratio))
    for place in ranked.argsort().tolist():
        name = owners[place]
        if left >= parts[name] and kept[name] - parts[name] >= floors[name]:
            kept[name] -= parts[name]
            left -= parts[name]
    return kept


def _round(kept: int, group: ChannelGroup, config: PruneChannels, data: CompressionData) -> int:
    """Return how many channels of ``group`` to keep: of each block alike, and a multiple of `round_to`."""
    if kept < 1:
        raise CompressionError(
            f"{data.candidate}: prune_channels would leave {group.name} none of its {group.num_channels} channels. "
            f"Lower its ratio below {1 - 0.5 / group.num_channels:.2f}."
        )
    step = math.lcm(config.round_to, group.parts)
    return min(group.num_channels, -(-kept // step) * step)


def _least(group: ChannelGroup, scores: torch.Tensor, kept: int) -> list[int]:
    """Return the places of the channels to remove: in each block those of least importance."""
    size, gone = len(scores), (group.num_channels - kept) // group.parts
    places = scores.argsort(stable=True)[:gone].tolist()
    return [place + block * size for block in range(group.parts) for place in places]


def _plan(network: Network) -> dict[str, dict[str, int]]:
    from thresher.models.channel_plan import read_channel_plan

    return read_channel_plan(network.body)
