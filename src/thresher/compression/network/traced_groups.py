"""Which layers lose channels together: Torch-Pruning's dependency graph, by the names of the layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from thresher.compression.network.channel_group import ChannelGroup
from thresher.compression.network.importance import Measure
from thresher.models.network import Network

ROOTS = (nn.Conv1d, nn.Conv2d, nn.Linear)


@dataclass(frozen=True, kw_only=True)
class TracedGroup(ChannelGroup):
    """A group that Torch-Pruning found.

    Attributes:
        members: Torch-Pruning's own group of all channels.
        graph: its graph of the network.
    """

    members: Any
    graph: Any

    def scores(self, measure: Measure) -> torch.Tensor:
        """Return [1, num_channels / parts]: of channels that blocks lose together, their mean.

        Those of a group that ``measure`` knows nothing of, such as one without a norm, are equal.
        """
        scored = measure.of_traced(self.members)
        scored = torch.ones(self.num_channels) if scored is None else scored.detach().cpu()
        return scored[: self.num_channels].reshape(1, self.parts, -1).mean(dim=1)

    def remove(self, places: list[list[int]]) -> None:
        """Remove the channels at ``places`` of every block."""
        (gone,), size = places, self.num_channels // self.parts
        first = self.members[0].dep
        everywhere = sorted(place + block * size for block in range(self.parts) for place in gone)
        self.graph.get_pruning_group(first.target.module, first.handler, everywhere).prune()


def find_traced_groups(network: Network) -> list[TracedGroup]:
    """Return every group.

    Source: Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023, as Torch-Pruning implements it.
    """
    from torch_pruning import DependencyGraph

    # Traced without its preparation: the graph is followed by gradients, which integers have not.
    with torch.no_grad():
        example = network.prepare(torch.from_numpy(network.spec.input.example(2)))
    graph = DependencyGraph().build_dependency(network.body, example_inputs=example)
    names = {module: name for name, module in network.body.named_modules()}
    ignored = [network.output_layer(), *network.embeddings()]
    found = graph.get_all_groups(ignored_layers=ignored, root_module_types=ROOTS)
    return [_describe(members, names, graph) for members in found]


def _describe(members: Any, names: dict[nn.Module, str], graph: Any) -> TracedGroup:
    module, places = members[0].dep.target.module, members[0].idxs
    parts = max(_parts(dep.target.module) for dep, _ in members)
    return TracedGroup(
        name=names[module],
        num_channels=len(places),
        parts=parts,
        members=members,
        graph=graph,
        convolves=isinstance(module, nn.Conv1d | nn.Conv2d),
    )


def _parts(module: nn.Module) -> int:
    """Return how many blocks of channels a layer keeps apart; a depthwise convolution keeps none."""
    groups = int(getattr(module, "groups", 1))
    return 1 if groups == getattr(module, "out_channels", None) else groups
