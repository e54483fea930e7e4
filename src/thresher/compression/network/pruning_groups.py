"""What of a network can lose channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from thresher.compression.network.attention_groups import find_attention_groups
from thresher.compression.network.channel_group import ChannelGroup
from thresher.compression.network.recurrent_groups import find_recurrent_groups
from thresher.compression.network.traced_groups import find_traced_groups
from thresher.models.network import Network
from thresher.models.recurrent.network import RecurrentNetwork
from thresher.models.transformer.network import TransformerEncoder

FIND: dict[type, Callable[[Network], Sequence[ChannelGroup]]] = {
    RecurrentNetwork: find_recurrent_groups,
    TransformerEncoder: find_attention_groups,
}
"""Type of a body -> what finds its groups, where tracing does not: gates share one matrix, and so do heads."""


def find_groups(network: Network) -> Sequence[ChannelGroup]:
    """Return every group of layers that can lose channels."""
    return FIND.get(type(network.body), find_traced_groups)(network)


def prunable_groups(network: Network) -> dict[str, int]:
    """Return name -> channels of all groups of layers that can lose any; `prune_channels.ratios` takes the names."""
    return {group.name: group.num_channels for group in find_groups(network)}
