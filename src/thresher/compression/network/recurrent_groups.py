"""The hidden units of recurrent layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from thresher.compression.network.sliced_groups import Slice, SlicedGroup, find_rank_groups, in_order, inputs_of
from thresher.models.low_rank import LowRank
from thresher.models.network import Network
from thresher.models.recurrent.network import RecurrentNetwork

NUM_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
BY_GATE = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
"""Tensors of which the rows are the units of one gate, then those of the next."""


def find_recurrent_groups(network: Network) -> list[SlicedGroup]:
    """Return a group for each recurrent layer of one of Thresher's own networks; embeddings stay as wide as they are.

    Source: Wen et al., "Learning Intrinsic Sparse Structures within Long Short-Term Memory", ICLR 2018, whose
    components of an LSTM these are; there they go by a penalty in training, here by their importance.
    """
    body = network.body
    assert isinstance(body, RecurrentNetwork)
    groups = []
    for number, (layer, reader) in enumerate(zip(body.layers, [*body.layers[1:], body.output], strict=True)):
        assert isinstance(layer, nn.RNNBase)
        groups.append(describe_recurrent(f"layers.{number}", layer, [reader]))
    return in_order([*groups, *find_rank_groups(body)], body)


def describe_recurrent(name: str, layer: nn.RNNBase, readers: Sequence[nn.Module]) -> SlicedGroup:
    """Return the group of a recurrent layer: a unit is its row of every gate, its own column, and what reads it.

    All directions and layers within lose as many units, each its own: torch knows one hidden size.

    Args:
        readers: the layers that are given all states of the last layer within, and no others.
    """
    suffixes = ("", "_reverse") if layer.bidirectional else ("",)
    sets = torch.arange(layer.num_layers * len(suffixes) * layer.hidden_size).reshape(layer.num_layers, -1)
    slices: list[Slice] = []
    for level, units in enumerate(sets):
        for suffix, own in zip(suffixes, units.chunk(len(suffixes)), strict=True):
            gates = own.repeat(NUM_GATES[layer.mode])
            names = [f"{tensor}_l{level}{suffix}" for tensor in BY_GATE]
            slices += [Slice(layer, tensor, 0, gates) for tensor in names if hasattr(layer, tensor)]
            slices.append(Slice(layer, f"weight_hh_l{level}{suffix}", 1, own))
            if level:
                slices.append(Slice(layer, f"weight_ih_l{level}{suffix}", 1, sets[level - 1]))
    for reader in readers:
        slices += _read_by(reader, sets[-1])
    num_sets = layer.num_layers * len(suffixes)
    return SlicedGroup(name=name, num_channels=layer.hidden_size, num_sets=num_sets, noun="units", slices=tuple(slices))


def _read_by(reader: nn.Module, units: torch.Tensor) -> list[Slice]:
    if isinstance(reader, nn.RNNBase):
        suffixes = ("", "_reverse") if reader.bidirectional else ("",)
        return [Slice(reader, f"weight_ih_l0{suffix}", 1, units) for suffix in suffixes]
    if isinstance(reader, nn.LayerNorm):
        return [Slice(reader, name, 0, units) for name, _ in reader.named_parameters()]
    assert isinstance(reader, nn.Linear | LowRank)
    return [inputs_of(reader, units)]
