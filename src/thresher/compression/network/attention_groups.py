"""The heads and the feed-forward units of a Transformer, block by block."""

from __future__ import annotations

import torch
from torch import nn

from thresher.compression.network.sliced_groups import (
    SlicedGroup,
    find_rank_groups,
    in_order,
    inputs_of,
    last_of,
    outputs_of,
)
from thresher.models.network import Network
from thresher.models.transformer.network import Block, TransformerEncoder


def find_attention_groups(network: Network) -> list[SlicedGroup]:
    """Return two groups a block: its heads, and the units of its feed-forward layer.

    A head is its rows of query, key and value and its columns of the layer that reads it, and stays as wide as it is.
    What the blocks add to, which is a token's vector, keeps its width.

    Source: Michel, Levy and Neubig, "Are Sixteen Heads Really Better than One?", NeurIPS 2019.
    """
    body = network.body
    assert isinstance(body, TransformerEncoder)
    names = {layer: name for name, layer in body.named_modules()}
    groups = find_rank_groups(body)
    for block in body.blocks:
        assert isinstance(block, Block)
        groups += [_heads(block, names), _units(block, names)]
    return in_order(groups, body)


def _heads(block: Block, names: dict[nn.Module, str]) -> SlicedGroup:
    making = last_of(block.query_key_value)
    num_heads = making.out_features // (3 * block.head_width)
    places = torch.arange(num_heads).repeat_interleave(block.head_width)
    slices = (*outputs_of(making, places.repeat(3)), inputs_of(block.attention_output, places))
    return SlicedGroup(name=names[making], num_channels=num_heads, width=block.head_width, noun="heads", slices=slices)


def _units(block: Block, names: dict[nn.Module, str]) -> SlicedGroup:
    making = last_of(block.expand)
    units = torch.arange(making.out_features)
    slices = (*outputs_of(making, units), inputs_of(block.contract, units))
    return SlicedGroup(name=names[making], num_channels=making.out_features, noun="units", slices=slices)
