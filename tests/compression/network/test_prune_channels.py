"""Structured pruning takes whole channels: fewer weights, fewer sums, a smaller file; the classes stay."""

from __future__ import annotations

import pytest
import torch

from thresher.compression.data import CompressionData
from thresher.compression.network.prune_channels import PruneChannels, prune_channels
from thresher.errors import CompressionError
from thresher.evaluation.cost import measure_cost
from thresher.export import check_parity, export_onnx
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.outputs import ClassOutput
from thresher.models.lenet import LeNet
from thresher.models.network import Network, NetworkSpec


def widths(network: Network) -> dict[str, int]:
    return {name: len(weight) for name, weight in network.body.named_parameters() if name.endswith("weight")}


@pytest.fixture(scope="module")
def lenet() -> Network:
    torch.manual_seed(0)
    spec = NetworkSpec(
        model=LeNet(),
        input=ImageInput(channels=1, height=28, width=28, mean=(72.0,), std=(90.0,)),
        output=ClassOutput(num_classes=10),
    )
    return Network(spec).eval()


def test_half_of_lenets_channels_go_and_its_classes_stay(lenet: Network, compression_data: CompressionData) -> None:
    half = prune_channels(lenet, PruneChannels(ratio=0.5), compression_data)
    shapes = {name: tuple(weight.shape) for name, weight in half.body.named_parameters() if weight.ndim > 1}
    assert shapes == {
        "conv1.weight": (3, 1, 5, 5),
        "conv2.weight": (8, 3, 5, 5),
        "fc1.weight": (60, 200),
        "fc2.weight": (42, 60),
        "fc3.weight": (10, 42),
    }
    assert half(torch.zeros(2, 1, 28, 28, dtype=torch.uint8)).shape == (2, 10)


def test_batch_norms_lose_the_channels_of_their_convolutions(half: Network) -> None:
    assert widths(half) == {
        "conv1.weight": 8, "norm1.weight": 8, "conv2.weight": 16, "norm2.weight": 16, "fc1.weight": 16, "fc2.weight": 10
    }  # fmt: skip
    assert len(half.body.get_buffer("norm1.running_mean")) == 8


def test_the_network_that_goes_in_is_left_as_it_is(trained: Network, half: Network) -> None:
    assert widths(trained)["conv1.weight"] == 16
    assert (trained.spec.channel_plan, half.spec.channel_plan["conv1"]["out_channels"]) == ({}, 8)


def test_the_file_is_smaller_and_the_sums_are_fewer(half: Network, float_onnx: bytes, digits) -> None:  # type: ignore[no-untyped-def]
    onnx_file = export_onnx(half)
    check_parity(half, onnx_file, digits.test.inputs)
    cost, float_cost = measure_cost(onnx_file, half.spec.input), measure_cost(float_onnx, half.spec.input)
    # conv1 8*9, conv2 16*8*9, fc1 16*(16*2*2), fc2 10*16; the first on 8x8 pixels, the second on 4x4.
    assert cost.num_parameters == 72 + 1152 + 1024 + 160
    assert cost.macs == 72 * 64 + 1152 * 16 + 1024 + 160
    assert cost.size_bytes < 0.5 * float_cost.size_bytes


def test_the_least_important_channels_go(trained: Network, half: Network) -> None:
    norms = trained.body.get_parameter("fc1.weight").norm(dim=1)
    kept = half.body.get_parameter("fc1.bias")
    rows = [int((trained.body.get_parameter("fc1.bias") == bias).nonzero()[0]) for bias in kept]
    gone = set(range(len(norms))) - set(rows)
    # A unit's importance sums its own weights and those that read it, so the order of the first alone is rough.
    assert norms[rows].mean() > norms[list(gone)].mean()


@pytest.mark.parametrize("importance", ["l1", "l2"])
def test_channels_round_to_a_multiple(importance: str, trained: Network, compression_data: CompressionData) -> None:
    config = PruneChannels(ratio=0.3, round_to=8, importance=importance)
    pruned = prune_channels(trained, config, compression_data)
    hidden = {name: width for name, width in widths(pruned).items() if name != "fc2.weight"}
    assert all(width % 8 == 0 for width in hidden.values())
    assert widths(pruned)["fc2.weight"] == 10


def test_global_scope_takes_the_least_important_of_the_whole_network(
    trained: Network, half: Network, compression_data: CompressionData
) -> None:
    pruned = prune_channels(trained, PruneChannels(ratio=0.5, scope="global", round_to=1), compression_data)
    layers = ("conv1.weight", "conv2.weight", "fc1.weight")
    assert sum(widths(pruned)[layer] for layer in layers) == pytest.approx(0.5 * (16 + 32 + 32), abs=1)
    assert widths(pruned) != widths(half)
    assert pruned(torch.zeros(2, 1, 8, 8, dtype=torch.uint8)).shape == (2, 10)


def test_a_pruned_network_can_be_pruned_again(half: Network, compression_data: CompressionData) -> None:
    quarter = prune_channels(half, PruneChannels(ratio=0.5), compression_data)
    assert widths(quarter)["conv1.weight"] == 4


def test_a_ratio_that_removes_nothing_is_told(trained: Network, compression_data: CompressionData) -> None:
    with pytest.raises(CompressionError, match=r"candidate: prune_channels with ratio 0\.5 removes no channel"):
        prune_channels(trained, PruneChannels(ratio=0.5, round_to=256), compression_data)
