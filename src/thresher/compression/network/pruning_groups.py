"""What of a network can lose channels."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

from thresher.compression.network.attention_groups import find_attention_groups
from thresher.compression.network.channel_group import ChannelGroup
from thresher.compression.network.recurrent_groups import find_recurrent_groups
from thresher.compression.network.removal import check_removal, remove
from thresher.compression.network.structure import build_group, draw_inputs, find_structure, trace
from thresher.models.network import Network
from thresher.models.recurrent.network import RecurrentNetwork
from thresher.models.transformer.network import TransformerEncoder

FIND: dict[type, Callable[[Network], Sequence[ChannelGroup]]] = {
    RecurrentNetwork: find_recurrent_groups,
    TransformerEncoder: find_attention_groups,
}
"""Type of a body -> what finds its groups by the names of its layers: these are written for ONNX, and not traced."""


def find_groups(network: Network) -> Sequence[ChannelGroup]:
    """Return every group of layers that can lose channels."""
    return FIND.get(type(network.body), _find_traced_groups)(network)


def prunable_groups(network: Network) -> dict[str, int]:
    """Return name -> channels of all groups of layers that can lose any; `prune_channels.ratios` takes the names."""
    return {group.name: group.num_channels for group in find_groups(network)}


def refused_groups(network: Network) -> dict[str, str]:
    """Return name -> why all groups of layers that can lose none; those that nothing was tried of are not named."""
    return {} if type(network.body) in FIND else find_structure(network).refused


def remove_groups(network: Network, groups: Sequence[ChannelGroup], gone: Mapping[str, list[list[int]]]) -> None:
    """Remove from ``network``, in place, of each of its ``groups`` the places of each set that are ``gone``.

    Raises:
        StructureError: what is left would compute something else than the whole with zeros in their place.
    """
    whole = copy.deepcopy(network.body)

    def change() -> None:
        for group in groups:
            if group.name in gone:
                group.remove(gone[group.name])

    kept = remove(network.body, change)
    check_removal(whole, kept, copy.deepcopy(network.body), draw_inputs(network))


def _find_traced_groups(network: Network) -> list[ChannelGroup]:
    structure, traced = find_structure(network), trace(network)
    return [build_group(traced, name, layout) for name, layout in structure.layouts.items()]
