"""Which channels go, how many of each layer, and in how many steps."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from thresher.compression.data import CompressionData
from thresher.compression.network.finetune import Finetune
from thresher.compression.network.importance import build_importance
from thresher.compression.network.prune_channels import PruneChannels, prune_channels
from thresher.compression.network.pruning_groups import find_groups, prunable_groups
from thresher.errors import CompressionError
from thresher.events import Step, subscribe
from thresher.models.network import Network
from thresher.training.validation import evaluate_network

CPU = torch.device("cpu")
OUT = ("out_channels", "out_features")


def channels(network: Network) -> dict[str, int]:
    layers = network.body.named_modules()
    return {name: getattr(layer, key) for name, layer in layers for key in OUT if hasattr(layer, key)}


def accuracy(network: Network, data: CompressionData) -> float:
    return evaluate_network(network, data.validation_samples, CPU)[1]


def test_every_layer_but_the_last_can_lose_channels(trained: Network) -> None:
    assert prunable_groups(trained) == {"conv1": 16, "conv2": 32, "fc1": 32}


def test_layers_have_ratios_of_their_own(trained: Network, compression_data: CompressionData) -> None:
    config = PruneChannels(ratio=0.5, ratios={"conv1": 0.0, "fc1": 0.9})
    pruned = channels(prune_channels(trained, config, compression_data))
    assert (pruned["conv1"], pruned["conv2"], pruned["fc1"], pruned["fc2"]) == (16, 16, 3, 10)


def test_a_layer_that_is_not_there_is_named(trained: Network, compression_data: CompressionData) -> None:
    config = PruneChannels(ratio=0.5, ratios={"conv": 0.5})
    with pytest.raises(CompressionError, match=r"no layer is called 'conv'\. Did you mean 'conv[12]'\?"):
        prune_channels(trained, config, compression_data)


@pytest.mark.oddity(
    "Recipes and catalog", "layer names with * and ? in a recipe", "They mean the layers that they match"
)
def test_a_pattern_means_the_layers_that_it_matches(trained: Network, compression_data: CompressionData) -> None:
    config = PruneChannels(ratios={"conv*": 0.5, "fc?": 0.25, "conv1": 0.0})
    pruned = channels(prune_channels(trained, config, compression_data))
    assert (pruned["conv1"], pruned["conv2"], pruned["fc1"], pruned["fc2"]) == (16, 16, 24, 10)


@pytest.mark.parametrize(
    ("ratios", "what"),
    [
        ({"cnv*": 0.5}, r"ratios: no layer is called 'cnv\*'\. .*Allowed: conv1, conv2, fc1\."),
        ({"conv*": 0.5, "c*": 0.4}, r"'conv\*' and 'c\*' give conv[12] different values, 0\.5 and 0\.4\."),
    ],
)
def test_a_pattern_that_means_nothing_or_two_things_is_an_error(
    ratios: dict[str, float], what: str, trained: Network, compression_data: CompressionData
) -> None:
    with pytest.raises(CompressionError, match=what):
        prune_channels(trained, PruneChannels(ratios=ratios), compression_data)


def test_no_layer_is_left_empty(trained: Network, compression_data: CompressionData) -> None:
    with pytest.raises(CompressionError, match=r"leave conv1 none of its 16 channels\. Lower its ratio below 0\.97"):
        prune_channels(trained, PruneChannels(ratio=0.5, ratios={"conv1": 0.98}), compression_data)


def test_batch_norm_scales_need_a_batch_norm(trained: Network, compression_data: CompressionData) -> None:
    without = copy.deepcopy(trained)
    without.body.norm1, without.body.norm2 = nn.Identity(), nn.Identity()
    with pytest.raises(CompressionError, match=r"a cnn has none\. Allowed: l1, l2, taylor, activations, random\."):
        prune_channels(without, PruneChannels(ratio=0.5, importance="batch_norm"), compression_data)


@pytest.mark.parametrize("importance", ["l1", "taylor", "activations", "batch_norm"])
def test_what_matters_is_kept_better_than_by_chance(
    importance: str, trained: Network, compression_data: CompressionData
) -> None:
    def pruned(kind: str) -> Network:
        return prune_channels(trained, PruneChannels(ratio=0.4, importance=kind), compression_data)

    assert accuracy(pruned(importance), compression_data) > accuracy(pruned("random"), compression_data) + 0.05
    assert all(weight.grad is None for weight in trained.parameters())


def test_a_silent_channel_matters_least_however_large_its_weights_are(
    trained: Network, compression_data: CompressionData
) -> None:
    network = copy.deepcopy(trained).eval()
    with torch.no_grad():
        network.body.fc1.weight[[3, 20]] *= 10
        network.body.fc1.bias[[3, 20]] = -1e4  # ReLU makes 0 of it
        network.body.fc2.weight[:, [3, 20]] *= 10

    def scores(importance: str) -> torch.Tensor:
        (group,) = (group for group in find_groups(network) if group.name == "fc1")
        return build_importance(importance, network, compression_data)(group)[0]

    silent = torch.tensor([unit in (3, 20) for unit in range(32)])
    assert (scores("activations")[silent] == 0).all()
    assert scores("l2")[silent].min() > scores("l2")[~silent].max()


def test_activations_measure_what_a_layer_reads_of_a_channel(
    trained: Network, compression_data: CompressionData
) -> None:
    network = copy.deepcopy(trained).eval()
    (group,) = (group for group in find_groups(network) if group.name == "fc1")
    scores = build_importance("activations", network, compression_data)(group)[0]
    seen: list[torch.Tensor] = []
    network.body.fc2.register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
    with torch.no_grad():
        network(torch.from_numpy(compression_data.training_samples.inputs))
    expected = (network.body.fc2.weight.abs() * seen[0].square().mean(dim=0).sqrt()).sum(dim=0)
    torch.testing.assert_close(scores, (expected / expected.mean()).detach(), rtol=1e-2, atol=1e-3)


def test_chance_is_drawn_by_the_seed(trained: Network, compression_data: CompressionData) -> None:
    one, same = (
        prune_channels(trained, PruneChannels(ratio=0.5, importance="random"), compression_data) for _ in range(2)
    )
    for left, right in zip(one.parameters(), same.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9])
def test_a_global_ranking_removes_the_share_of_all_channels(
    ratio: float, trained: Network, compression_data: CompressionData
) -> None:
    pruned = channels(prune_channels(trained, PruneChannels(ratio=ratio, scope="global", round_to=1), compression_data))
    left = pruned["conv1"] + pruned["conv2"] + pruned["fc1"]
    assert left == 80 - round(80 * ratio)
    assert min(pruned.values()) >= 1


def test_several_steps_come_to_the_same_widths_and_train_between(
    trained: Network, compression_data: CompressionData
) -> None:
    once = prune_channels(trained, PruneChannels(ratio=0.6), compression_data)
    config = PruneChannels(ratio=0.6, iterations=3, between=Finetune(epochs=1))
    slowly = prune_channels(trained, config, compression_data)
    assert channels(slowly) == channels(once)
    assert accuracy(slowly, compression_data) > accuracy(once, compression_data)


def test_depthwise_and_grouped_convolutions_keep_their_groups(
    trained: Network, compression_data: CompressionData
) -> None:
    grouped = copy.deepcopy(trained)
    grouped.body = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.Conv2d(16, 16, 3, padding=1, groups=16),
        nn.ReLU(),
        nn.Conv2d(16, 24, 3, padding=1, groups=4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, 10),
    )
    pruned = prune_channels(grouped, PruneChannels(ratio=0.5), compression_data)
    shapes = [
        (layer.in_channels, layer.out_channels, layer.groups) for layer in pruned.body if hasattr(layer, "groups")
    ]
    assert shapes == [(1, 8, 1), (8, 8, 8), (8, 12, 4)]
    assert pruned(torch.zeros(3, 1, 8, 8, dtype=torch.uint8)).shape == (3, 10)


@pytest.mark.parametrize(
    "wrong", [{"ratio": 0.5, "between": {}}, {"ratio": 0.5, "scope": "global", "ratios": {"conv1": 0.5}}]
)
def test_what_does_not_fit_together_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"between needs|give one of the two"):
        PruneChannels.model_validate(wrong)


def test_by_default_convolutions_keep_multiples_that_are_fast(
    trained: Network, compression_data: CompressionData
) -> None:
    """Of 16 channels a multiple of 4, of 32 one of 8, of the units of a linear layer any number."""
    said: list[str] = []
    leave = subscribe(lambda event: said.append(event.text) if isinstance(event, Step) else None)
    auto = channels(prune_channels(trained, PruneChannels(ratio=0.3), compression_data))
    exact = channels(prune_channels(trained, PruneChannels(ratio=0.3, round_to=1), compression_data))
    leave()
    assert (auto["conv1"], auto["conv2"], auto["fc1"]) == (12, 24, 22)
    assert (exact["conv1"], exact["conv2"], exact["fc1"]) == (11, 22, 22)
    keeps = "prune_channels keeps 12 of 16 of conv1, 24 of 32 of conv2, 22 of 32 of fc1"
    advice = "; conv1, conv2 would be faster with multiples of 4 or 8, as round_to: auto keeps them"
    assert said == [keeps, keeps.replace("12", "11").replace("24", "22") + advice]


def test_where_multiples_would_keep_all_any_number_is_kept(trained: Network, compression_data: CompressionData) -> None:
    config = PruneChannels(ratios={"conv*": 0.1, "fc1": 0.0})
    pruned = channels(prune_channels(trained, config, compression_data))
    assert (pruned["conv1"], pruned["conv2"], pruned["fc1"]) == (14, 29, 32)
