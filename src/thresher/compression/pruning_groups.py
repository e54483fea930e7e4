"""Which layers lose channels together: Torch-Pruning's dependency graph, by the names of the layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from thresher.models.network import Network


@dataclass(frozen=True)
class ChannelGroup:
    """Layers that lose a channel together.

    Attributes:
        name: of the first layer whose outputs they are.
        members: Torch-Pruning's own group of all channels.
        num_channels: of the first layer.
        parts: equal blocks of which each must lose as many, as a grouped convolution's.
    """

    name: str
    members: Any
    num_channels: int
    parts: int


class ChannelGraph:
    """The groups of one network, found by tracing it.

    Source: Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023, as Torch-Pruning implements it.
    """

    def __init__(self, network: Network) -> None:
        import torch
        from torch_pruning import DependencyGraph

        # Traced without its preparation: the graph is followed by gradients, which integers have not.
        with torch.no_grad():
            example = network.prepare(torch.from_numpy(network.spec.input.example(2)))
        self._graph = DependencyGraph().build_dependency(network.body, example_inputs=example)
        self._names = {module: name for name, module in network.body.named_modules()}
        self._ignored = [network.output_layer(), *network.embeddings()]

    def groups(self) -> list[ChannelGroup]:
        """Return every group, in the order of the layers."""
        from torch import nn

        types = (nn.Conv1d, nn.Conv2d, nn.Linear)
        found = self._graph.get_all_groups(ignored_layers=self._ignored, root_module_types=types)
        return [self._describe(members) for members in found]

    def remove(self, group: ChannelGroup, places: list[int]) -> None:
        """Remove the channels at ``places`` from all layers of ``group``."""
        first = group.members[0].dep
        self._graph.get_pruning_group(first.target.module, first.handler, sorted(places)).prune()

    def _describe(self, members: Any) -> ChannelGroup:
        module, places = members[0].dep.target.module, members[0].idxs
        return ChannelGroup(self._names[module], members, len(places), max(map(_parts, _modules(members)), default=1))


def prunable_groups(network: Network) -> dict[str, int]:
    """Return name -> channels of all groups of layers that can lose any; `prune_channels.ratios` takes the names."""
    from thresher.models import CHANNELS_ARE_FIXED

    if isinstance(network.spec.model, CHANNELS_ARE_FIXED):
        return {}
    return {group.name: group.num_channels for group in ChannelGraph(network).groups()}


def _modules(members: Any) -> list[torch.nn.Module]:
    return [dep.target.module for dep, _ in members]


def _parts(module: torch.nn.Module) -> int:
    """Return how many blocks of channels a layer keeps apart; a depthwise convolution keeps none."""
    groups = int(getattr(module, "groups", 1))
    return 1 if groups == getattr(module, "out_channels", None) else groups
