"""What of a network can lose channels."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from thresher.compression.network.attention_groups import find_attention_groups
from thresher.compression.network.channel_group import ChannelGroup
from thresher.compression.network.recurrent_groups import find_recurrent_groups
from thresher.compression.network.removal import Kept, check_removal, remove, restored
from thresher.compression.network.structure import build_group, draw_inputs, find_structure, trace
from thresher.compression.network.traced_groups import TracedGraph
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
    kept = _remove(network, groups, gone)
    check_removal(whole, kept, copy.deepcopy(network.body), draw_inputs(network))


class Trial:
    """A network that loses channels and gets them back: its graph is followed once, however much is tried.

    Attributes:
        groups: its groups of layers that can lose channels.
    """

    def __init__(self, network: Network) -> None:
        """``network`` is changed meanwhile: give a copy."""
        self.network = network.eval()
        self._graph: TracedGraph | None = None
        if type(network.body) in FIND:
            self.groups: Sequence[ChannelGroup] = find_groups(network)
        else:
            self.groups, self._graph = _trace_groups(network)

    @contextmanager
    def without(self, gone: Mapping[str, list[list[int]]]) -> Iterator[Network]:
        """Give the network without the places of each set of its groups that are ``gone``; it is whole afterwards."""
        with restored(self.network.body), ExitStack() as around:
            if self._graph is not None:
                around.enter_context(self._graph.restored())
            _remove(self.network, self.groups, gone)
            yield self.network


def _remove(network: Network, groups: Sequence[ChannelGroup], gone: Mapping[str, list[list[int]]]) -> Kept:
    def change() -> None:
        for group in groups:
            if group.name in gone:
                group.remove(gone[group.name])

    return remove(network.body, change)


def _find_traced_groups(network: Network) -> Sequence[ChannelGroup]:
    return _trace_groups(network)[0]


def _trace_groups(network: Network) -> tuple[Sequence[ChannelGroup], TracedGraph]:
    structure, traced = find_structure(network), trace(network)
    return [build_group(traced, name, layout) for name, layout in structure.layouts.items()], traced.graph
