"""Groups of channels that are known by the shapes of the weights: which places of which axis belong to a channel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from thresher.compression.network.channel_group import ChannelGroup
from thresher.compression.network.importance import Measure
from thresher.models.low_rank import LowRank


@dataclass(frozen=True)
class Slice:
    """One axis of one tensor of a layer.

    Attributes:
        channels: the channel that each place along the axis belongs to, int64; of the second set they go on where
            those of the first end.
    """

    layer: nn.Module
    tensor: str
    axis: int
    channels: torch.Tensor

    def scores(self, measure: Measure, num_channels: int) -> torch.Tensor:
        """Return the sum over the weights of each channel; biases count nothing, as in Torch-Pruning's measures."""
        weight = self.layer.get_parameter(self.tensor)
        scored = torch.zeros(num_channels)
        if weight.ndim == 1:
            return scored
        summed = measure.of_weight(weight).detach().cpu().float().sum(dim=1 - self.axis)
        return scored.index_add(0, self.channels, summed)

    def remove(self, channels: torch.Tensor) -> None:
        """Remove all places of ``channels``."""
        weight = self.layer.get_parameter(self.tensor)
        kept = (~torch.isin(self.channels, channels)).nonzero().flatten()
        smaller = weight.detach().index_select(self.axis, kept.to(weight.device))
        setattr(self.layer, self.tensor, nn.Parameter(smaller, weight.requires_grad))
        _match_widths(self.layer)


@dataclass(frozen=True, kw_only=True)
class SlicedGroup(ChannelGroup):
    """A group of which each channel is some places of some axes."""

    slices: tuple[Slice, ...]

    def scores(self, measure: Measure) -> torch.Tensor:
        """Return [num_sets, num_channels]: sums over all weights that a channel takes with it, of the mean 1."""
        total = self.num_sets * self.num_channels
        counted = [each for each in self.slices if each.axis == 1 or not measure.of_readers]
        scored = torch.stack([each.scores(measure, total) for each in counted]).sum(dim=0)
        scored = scored.reshape(self.num_sets, self.num_channels)
        mean = scored.mean()
        return scored / mean if mean > 0 else torch.ones_like(scored)

    def _cut(self, places: list[list[int]]) -> None:
        offsets = self.num_channels * torch.arange(self.num_sets)[:, None]
        gone = (torch.tensor(places) + offsets).flatten()
        for each in self.slices:
            each.remove(gone)


def outputs_of(layer: nn.Module, channels: torch.Tensor) -> list[Slice]:
    """Return the slices of a linear layer, or of two of low rank, that make ``channels``."""
    last = last_of(layer)
    return [Slice(last, name, 0, channels) for name in ("weight", "bias") if getattr(last, name) is not None]


def inputs_of(layer: nn.Module, channels: torch.Tensor) -> Slice:
    """Return the slice of a linear layer, or of two of low rank, that takes ``channels``."""
    first = layer[0] if isinstance(layer, LowRank) else layer
    return Slice(first, "weight", 1, channels)


def last_of(layer: nn.Module) -> nn.Linear:
    """Return the layer itself, or of two of low rank that which makes the outputs."""
    last = layer[1] if isinstance(layer, LowRank) else layer
    assert isinstance(last, nn.Linear)
    return last


def find_rank_groups(body: nn.Module) -> list[SlicedGroup]:
    """Return a group for each layer of low rank: of the values in between."""
    found = []
    for name, layer in body.named_modules():
        if isinstance(layer, LowRank):
            ranks = torch.arange(layer.rank)
            slices = (*outputs_of(layer[0], ranks), inputs_of(layer[1], ranks))
            found.append(SlicedGroup(name=f"{name}.0", num_channels=layer.rank, slices=slices, noun="ranks"))
    return found


def in_order(groups: list[SlicedGroup], body: nn.Module) -> list[SlicedGroup]:
    """Return ``groups`` in the order of the layers of ``body``."""
    places = {name: place for place, (name, _) in enumerate(body.named_modules())}
    return sorted(groups, key=lambda group: places[group.name])


def _match_widths(layer: nn.Module) -> None:
    """Let the attributes of ``layer`` say what its weights are."""
    if isinstance(layer, nn.RNNBase):
        layer.input_size = layer.get_parameter("weight_ih_l0").shape[1]
        layer.hidden_size = layer.get_parameter("weight_hh_l0").shape[1]
    elif isinstance(layer, nn.LayerNorm):
        layer.normalized_shape = tuple(layer.weight.shape)
    elif isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
