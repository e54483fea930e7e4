"""What the pruning of channels relies on in Torch-Pruning: its graph, its groups and its measures of importance."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.contract import relied_on
from torch import nn
from torch_pruning import DependencyGraph
from torch_pruning import importance as scores

from thresher.adapters.torch_pruning import modules_of, recurrent_pruner, restored

ADAPTER = "src/thresher/adapters/torch_pruning.py"
GROUPS = "src/thresher/compression/network/traced_groups.py"
MEASURES = "src/thresher/compression/network/importance.py"


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.Flatten(), nn.Linear(64, 3)
    )


def groups_of(network: nn.Sequential) -> tuple[Any, list[Any]]:
    """Return the graph, and the groups in the order of their first layers."""
    graph = DependencyGraph().build_dependency(network, example_inputs=torch.zeros(2, 1, 6, 6))
    found = graph.get_all_groups(ignored_layers=[network[-1]], root_module_types=(nn.Conv2d, nn.Linear))
    order = list(network)
    return graph, sorted(found, key=lambda group: order.index(group[0].dep.target.module))


def test_a_group_names_its_layers_and_the_places_of_their_channels(network: nn.Sequential) -> None:
    with relied_on("torch-pruning", "a group is pairs of .dep and .idxs, and a dependency has .target.module", GROUPS):
        _, (first, second) = groups_of(network)
        assert first[0].dep.target.module is network[0] and second[0].dep.target.module is network[3]
        assert (len(first[0].idxs), len(second[0].idxs)) == (6, 4)
        layers = [dep.target.module for dep, _ in first]
        assert {network[0], network[1], network[3]} <= set(layers), "layers that lose the channels together"
        assert network[-1] in {dep.target.module for dep, _ in second}, "an ignored layer still loses inputs"


def test_channels_are_removed_from_all_layers_of_a_group(network: nn.Sequential) -> None:
    kept = network[0].weight.detach()[[0, 2, 3, 5]].clone()
    with relied_on("torch-pruning", "get_pruning_group(module, handler, idxs).prune() removes these channels", GROUPS):
        graph, (first, _) = groups_of(network)
        graph.get_pruning_group(first[0].dep.target.module, first[0].dep.handler, [1, 4]).prune()
        assert (network[0].out_channels, network[1].num_features, network[3].in_channels) == (4, 4, 4)
        torch.testing.assert_close(network[0].weight.detach(), kept)
        assert network(torch.zeros(2, 1, 6, 6)).shape == (2, 3)


@pytest.mark.parametrize("power", [1, 2])
def test_the_norm_of_a_channel_is_over_all_layers_that_lose_it(network: nn.Sequential, power: int) -> None:
    before, norm, after = network[0], network[1], network[3]
    with relied_on("torch-pruning", "MagnitudeImportance(p)(group) is the mean over the layers of the norms", MEASURES):
        _, (first, _) = groups_of(network)
        scored = scores.MagnitudeImportance(p=power)(first)
        summed = [
            before.weight.detach().abs().pow(power).flatten(1).sum(1),
            norm.weight.detach().abs().pow(power),
            after.weight.detach().abs().pow(power).transpose(0, 1).flatten(1).sum(1),
        ]
        mean = torch.stack(summed).mean(0)
        torch.testing.assert_close(scored.detach(), mean / mean.mean())


def test_the_other_measures_score_each_channel_and_know_what_they_do_not_know(network: nn.Sequential) -> None:
    network(torch.randn(4, 1, 6, 6)).sum().backward()
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([3.0, 1, 2, 5, 4, 6]))
    with relied_on("torch-pruning", "TaylorImportance and BNScaleImportance give one number a channel", MEASURES):
        _, (first, second) = groups_of(network)
        assert scores.TaylorImportance()(first).shape == (6,)
        assert scores.BNScaleImportance()(first).argsort().tolist() == [1, 2, 0, 4, 3, 5]
        assert scores.BNScaleImportance()(second) is None, "a group without a batch norm has no score"


class Scaled(nn.Module):
    """Has a parameter that is of no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.scale, self.last = nn.Linear(3, 6), nn.Parameter(torch.ones(6)), nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(x) * self.scale)


def test_a_graph_that_lost_channels_is_the_one_of_before() -> None:
    network = Scaled()
    with relied_on("torch-pruning", "a graph's state is module2node, its nodes' modules and _param_to_name", ADAPTER):
        graph = DependencyGraph().build_dependency(network, example_inputs=torch.zeros(1, 3), verbose=False)
        before = [(node, node.module) for node in graph.module2node.values()], dict(graph._param_to_name)
        assert {network.first, network.last} <= set(modules_of(graph)) and list(before[1].values()) == ["scale"]
        with restored(graph):
            handler = graph.get_pruner_of_module(network.first).prune_out_channels
            graph.get_pruning_group(network.first, handler, [1, 4]).prune()
            assert network.scale.shape == (4,) and graph._param_to_name != before[1]
        assert ([(node, node.module) for node in graph.module2node.values()], graph._param_to_name) == before


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_a_recurrent_layer_loses_inputs_alone(kind: type[nn.RNNBase]) -> None:
    layer = kind(4, 3, bidirectional=True)
    kept = [getattr(layer, f"weight_ih_l0{way}").detach()[:, [0, 3]].clone() for way in ("", "_reverse")]
    pruner = recurrent_pruner()
    with relied_on("torch-pruning", "LSTMPruner cuts the inputs of both directions by the names of weights", ADAPTER):
        assert (pruner.get_in_channels(layer), pruner.get_out_channels(layer)) == (4, 6)
        pruner.prune_in_channels(layer, [1, 2])
        for way, weight in zip(("", "_reverse"), kept, strict=True):
            torch.testing.assert_close(getattr(layer, f"weight_ih_l0{way}").detach(), weight)
        assert layer.input_size == 2
    with pytest.raises(NotImplementedError):
        pruner.prune_out_channels(layer, [0])
