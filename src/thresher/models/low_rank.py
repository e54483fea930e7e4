"""Layers of low rank: two in place of one, that map through few values in between."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from thresher.models.random_numbers import generator_turn

Ranks = dict[str, int]
"""Layer name -> the values in between."""
READ_BY_NETWORKS = ("weight", "stride", "kernel_size", "padding", "dilation")
SPLITTABLE = (nn.Linear, nn.Conv1d, nn.Conv2d)


class LowRank(nn.Sequential):
    """A layer without bias to ``rank`` values, and one from there to the outputs.

    A convolution sees its neighbours in the first, with its stride and padding; the second is 1x1.
    """

    def __getattr__(self, name: str) -> Any:
        """Return what the first layer has where this has none: networks read strides and types of their layers."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name not in READ_BY_NETWORKS:
                raise
            return getattr(self[0], name)

    def product(self) -> torch.Tensor:
        """Return the weight of the one layer that both amount to, as `as_matrix` does."""
        first, second = (as_matrix(layer) for layer in self)
        return second @ first

    @property
    def rank(self) -> int:
        """The values in between."""
        return int(as_matrix(self[0]).shape[0])


def as_matrix(layer: nn.Module) -> torch.Tensor:
    """Return the weight of a layer as a float64 matrix [outputs, inputs * places of the kernel]."""
    if isinstance(layer, LowRank):
        return layer.product()
    assert isinstance(layer, SPLITTABLE)
    return layer.weight.detach().double().flatten(1)


@generator_turn()  # layers draw their first weights
def split_layer(layer: nn.Module, rank: int) -> LowRank:
    """Return two layers of fresh weights with the inputs and outputs of ``layer``, which may be split already."""
    first, last = (layer[0], layer[1]) if isinstance(layer, LowRank) else (layer, layer)
    has_bias = last.bias is not None
    if isinstance(first, nn.Linear) and isinstance(last, nn.Linear):
        return LowRank(nn.Linear(first.in_features, rank, bias=False), nn.Linear(rank, last.out_features, has_bias))
    assert isinstance(first, nn.Conv1d | nn.Conv2d) and isinstance(last, type(first)) and first.groups == 1
    kind: Any = nn.Conv1d if isinstance(first, nn.Conv1d) else nn.Conv2d
    places = (first.kernel_size, first.stride, first.padding, first.dilation)
    around = kind(first.in_channels, rank, *places, bias=False, padding_mode=first.padding_mode)
    return LowRank(around, kind(rank, last.out_channels, 1, bias=has_bias))


def apply_ranks(body: nn.Module, ranks: Ranks) -> None:
    """Put two layers in place of each layer that ``ranks`` names, with fresh weights to be loaded into them."""
    for name, rank in ranks.items():
        body.set_submodule(name, split_layer(body.get_submodule(name), rank))
