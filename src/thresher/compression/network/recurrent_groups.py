"""The hidden units of LSTMs and GRUs, layer by layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from thresher.compression.network.sliced_groups import Slice, SlicedGroup, find_rank_groups, in_order, inputs_of
from thresher.models.channel_plan import NUM_GATES
from thresher.models.network import Network
from thresher.models.recurrent.network import RecurrentNetwork

BY_GATE = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
"""Tensors of which the rows are the units of one gate, then those of the next."""


def find_recurrent_groups(network: Network) -> list[SlicedGroup]:
    """Return a group for each recurrent layer: a unit is its row of every gate, its own column, and what reads it.

    Both directions lose as many units, each its own: torch knows one hidden size. Embeddings stay as wide as they are.

    Source: Wen et al., "Learning Intrinsic Sparse Structures within Long Short-Term Memory", ICLR 2018, whose
    components of an LSTM these are; there they go by a penalty in training, here by their importance.
    """
    body = network.body
    assert isinstance(body, RecurrentNetwork)
    layers: list[Any] = [*body.layers]
    groups = [
        _describe(f"layers.{number}", layer, following)
        for number, (layer, following) in enumerate(zip(layers, [*layers[1:], body.output], strict=True))
    ]
    return in_order([*groups, *find_rank_groups(body)], body)


def _describe(layer_name: str, layer: nn.RNNBase, following: nn.Module) -> SlicedGroup:
    suffixes = _suffixes(layer)
    units = torch.arange(len(suffixes) * layer.hidden_size)
    slices: list[Slice] = []
    for suffix, own in zip(suffixes, units.chunk(len(suffixes)), strict=True):
        gates = own.repeat(NUM_GATES[layer.mode])
        slices += [Slice(layer, f"{name}_l0{suffix}", 0, gates) for name in BY_GATE]
        slices.append(Slice(layer, f"weight_hh_l0{suffix}", 1, own))
    if isinstance(following, nn.RNNBase):
        slices += [Slice(following, f"weight_ih_l0{suffix}", 1, units) for suffix in _suffixes(following)]
    else:
        slices.append(inputs_of(following, units))
    return SlicedGroup(
        name=layer_name, num_channels=layer.hidden_size, num_sets=len(suffixes), noun="units", slices=tuple(slices)
    )


def _suffixes(layer: nn.RNNBase) -> tuple[str, ...]:
    return ("", "_reverse") if layer.bidirectional else ("",)
