"""Layers of low rank are smaller by the computed numbers, answer alike, and take what comes before and after them."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from untrained import untrained

from thresher.compression.data import CompressionData
from thresher.compression.network.decomposition import Decomposition
from thresher.compression.network.factorize import Factorize, factorize
from thresher.compression.network.finetune import Finetune, finetune
from thresher.compression.network.prune_channels import PruneChannels, prune_channels
from thresher.compression.network.prune_weights import PruneWeights, prune_weights
from thresher.compression.network.quantize_aware import QuantizeAware, quantize_aware
from thresher.errors import CompressionError
from thresher.evaluation.cost import measure_cost
from thresher.events import Event, Step
from thresher.export import check_parity, export_onnx
from thresher.models.low_rank import LowRank, as_matrix
from thresher.models.network import Network
from thresher.models.storage import load_network, save_network
from thresher.training.distillation import Teacher, Teaching
from thresher.training.validation import evaluate_network

QUARTER = Factorize(rank_share=0.25)
SPLIT = {"mlp row": 2, "resnet": 9, "textcnn": 3, "transformer": 8, "cnn1d": 2}
"""Family -> layers that a quarter of the full rank makes smaller."""


def split_layers(network: Network) -> dict[str, LowRank]:
    return {name: layer for name, layer in network.body.named_modules() if isinstance(layer, LowRank)}


def saved(before: nn.Module, rank: int) -> int:
    outputs, inputs = as_matrix(before).shape
    return outputs * inputs - rank * (outputs + inputs)


@pytest.fixture(scope="module")
def low(trained: Network, compression_data: CompressionData) -> Network:
    return factorize(trained, QUARTER, compression_data)


@pytest.mark.parametrize("family", SPLIT)
def test_parameters_fall_as_computed_and_the_file_answers_as_the_stored_network(family: str, tmp_path: Path) -> None:
    network, data = untrained(family)
    smaller = factorize(network, QUARTER, data)
    split = split_layers(smaller)
    assert len(split) == SPLIT[family]
    assert smaller.spec.ranks == {name: layer.rank for name, layer in split.items()}
    files = [export_onnx(each) for each in (network, smaller)]
    before, after = (measure_cost(file, data.input) for file in files)
    gains = {name: saved(network.body.get_submodule(name), layer.rank) for name, layer in split.items()}
    assert min(gains.values()) > 0
    assert before.num_parameters - after.num_parameters == sum(gains.values())
    assert after.macs < before.macs
    save_network(smaller, tmp_path / "network")
    loaded = load_network(tmp_path / "network")
    assert loaded.spec == smaller.spec
    check_parity(loaded, files[1], data.training_samples.inputs)


def test_sums_fall_as_computed(trained: Network, low: Network, compression_data: CompressionData) -> None:
    costs = [measure_cost(export_onnx(network), compression_data.input) for network in (trained, low)]
    # conv1 1 -> 16 at 8x8, conv2 16 -> 32 at 4x4, fc1 128 -> 32, fc2 32 -> 10: of full ranks 9, 32, 32, 10.
    assert low.spec.ranks == {"conv1": 2, "conv2": 8, "fc1": 8}
    assert costs[0].macs == 64 * 16 * 9 + 16 * 32 * 144 + 128 * 32 + 320
    assert costs[1].macs == 64 * 2 * (9 + 16) + 16 * 8 * (144 + 32) + 8 * (128 + 32) + 320
    assert costs[1].num_parameters == 2 * (9 + 16) + 8 * (144 + 32) + 8 * (128 + 32) + 320
    assert costs[1].size_bytes < costs[0].size_bytes


def test_the_input_is_left_as_it_is_and_biases_move_to_the_second_layer(trained: Network, low: Network) -> None:
    assert not split_layers(trained) and not trained.spec.ranks
    assert torch.equal(low.body.get_parameter("fc1.1.bias"), trained.body.get_parameter("fc1.bias"))
    assert low.body.get_submodule("fc1.0").bias is None
    assert low.output_layer() is low.body.get_submodule("fc2")


@pytest.mark.parametrize("energy", [0.5, 0.8, 0.95])
def test_the_least_rank_that_keeps_the_energy_is_taken(energy: float, trained: Network) -> None:
    layer = trained.body.get_submodule("conv2")
    parts = Decomposition(layer)
    rank, whole = parts.rank_for(energy), as_matrix(layer)

    def kept(rank: int) -> float:  # the lost energy is the squared distance, by Eckart and Young
        return 1 - float((whole - as_matrix(parts.split(rank))).square().sum() / whole.square().sum())

    assert kept(rank) >= energy - 1e-6
    assert kept(rank - 1) < energy


def test_all_of_the_energy_gives_the_same_answers(trained: Network, compression_data: CompressionData) -> None:
    redundant = copy.deepcopy(trained)
    with torch.no_grad():
        for name, rank in {"conv2": 5, "fc1": 3}.items():
            weight = redundant.body.get_parameter(f"{name}.weight")
            weight.copy_(as_matrix(Decomposition(redundant.body.get_submodule(name)).split(rank)).reshape(weight.shape))
    smaller = factorize(redundant, Factorize(energy=1.0), compression_data)
    assert smaller.spec.ranks == {"conv2": 5, "fc1": 3}
    inputs = torch.from_numpy(compression_data.validation_samples.inputs)
    with torch.no_grad():
        torch.testing.assert_close(smaller(inputs), redundant(inputs), atol=1e-4, rtol=0)


@pytest.mark.parametrize("layer", [
    nn.Linear(20, 30), nn.Conv2d(6, 8, 3, stride=2, padding=1, bias=False), nn.Conv2d(4, 6, (1, 3), padding="same"),
    nn.Conv1d(5, 7, 3, dilation=2, padding="same"), nn.Conv2d(4, 8, 3, padding=2, padding_mode="circular"),
], ids=repr)  # fmt: skip
def test_a_layer_of_full_rank_answers_as_the_whole_one(layer: nn.Module) -> None:
    shape = {nn.Linear: (3, 20), nn.Conv1d: (3, 5, 11)}.get(type(layer)) or (3, layer.in_channels, 9, 8)
    given = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    parts = Decomposition(layer)
    with torch.no_grad():
        torch.testing.assert_close(parts.split(parts.full)(given), layer(given), atol=1e-5, rtol=1e-4)


def test_a_named_layer_has_its_own_rank_and_the_output_layer_only_then(
    trained: Network, compression_data: CompressionData, events: list[Event]
) -> None:
    config = Factorize(rank_share=0.25, ranks={"conv1": 0, "fc2": 6})
    smaller = factorize(trained, config, compression_data)
    assert smaller.spec.ranks == {"conv2": 8, "fc1": 8, "fc2": 6}
    assert smaller.output_layer() is smaller.body.get_submodule("fc2.1")
    texts = [event.text for event in events if isinstance(event, Step)]
    assert texts == ["factorize: conv2 in rank 8, fc1 in rank 8, fc2 in rank 6; whole stay conv1 (rank 0)"]
    pruned = prune_channels(smaller, PruneChannels(ratio=0.5), compression_data)
    assert pruned.output_layer().out_features == 10


def test_splitting_again_takes_the_product_to_a_lower_rank(
    trained: Network, low: Network, compression_data: CompressionData, tmp_path: Path
) -> None:
    again = factorize(low, Factorize(energy=1.0, ranks={"fc1": 3}), compression_data)
    assert again.spec.ranks == {"conv1": 2, "conv2": 8, "fc1": 3}
    product, whole = as_matrix(again.body.get_submodule("fc1")), as_matrix(trained.body.get_submodule("fc1"))
    at_once = as_matrix(Decomposition(trained.body.get_submodule("fc1")).split(3))
    torch.testing.assert_close((product - whole).norm(), (at_once - whole).norm(), atol=1e-4, rtol=1e-4)
    save_network(again, tmp_path / "again")
    check_parity(load_network(tmp_path / "again"), export_onnx(again), compression_data.validation_samples.inputs)


def test_channels_may_go_before_and_after(half: Network, compression_data: CompressionData, tmp_path: Path) -> None:
    split = factorize(half, Factorize(rank_share=0.4), compression_data)
    assert split.body.get_submodule("fc1.0").in_features == half.body.get_submodule("fc1").in_features
    smaller = prune_channels(split, PruneChannels(ratio=0.4), compression_data)
    sizes = [sum(weight.numel() for weight in each.prunable_weights()) for each in (half, split, smaller)]
    assert sizes[0] > sizes[1] > sizes[2]
    save_network(smaller, tmp_path / "network")
    loaded = load_network(tmp_path / "network")
    check_parity(loaded, export_onnx(smaller), compression_data.validation_samples.inputs)


def test_finetuning_wins_back_accuracy_with_float_as_its_teacher(
    trained: Network, low: Network, compression_data: CompressionData
) -> None:
    config = Finetune.model_validate({"epochs": 2, "distill": {"features": 1.0}})
    data = CompressionData(**{**vars(compression_data), "teachers": {"float": trained}})
    tuned = finetune(low, config, data)
    assert tuned.spec == low.spec
    losses = [evaluate_network(each, data.validation_samples, torch.device("cpu"))[0] for each in (low, tuned)]
    assert losses[1] < losses[0]


def test_both_layers_look_where_the_whole_one_looks(trained: Network, compression_data: CompressionData) -> None:
    student = copy.deepcopy(trained)
    for name in ("conv1", "conv2"):
        parts = Decomposition(student.body.get_submodule(name))
        student.body.set_submodule(name, parts.split(parts.full))
    teacher = Teacher(Teaching(trained, 4.0, 1.0, 1000.0), student, torch.device("cpu"))
    inputs = torch.from_numpy(compression_data.validation_samples.inputs[:8])
    mixed = teacher.mix(torch.tensor(0.0), inputs, student(inputs), 8)
    assert mixed.item() == pytest.approx(0, abs=1e-4)


def test_integers_follow(low: Network, compression_data: CompressionData) -> None:
    aware = quantize_aware(low, QuantizeAware(epochs=1, calibration_samples=64), compression_data)
    file = export_onnx(aware)
    check_parity(aware, file, compression_data.validation_samples.inputs)
    assert measure_cost(file, compression_data.input).num_parameters == 2 * 25 + 8 * 176 + 8 * 160 + 320


@pytest.mark.parametrize(("config", "text"), [
    ({"ranks": {"fc9": 2}}, "no layer is called 'fc9'"),
    ({"ranks": {"fc1": 26}}, r"fc1 in rank 26 has no fewer weights than it has now. Give at most 25\."),
    ({"energy": 1.0}, "splits no layer of this network .*fc1: it would not be smaller; fc2: it makes the outputs"),
])  # fmt: skip
def test_what_cannot_be_split_is_said(
    config: dict[str, Any], text: str, trained: Network, compression_data: CompressionData
) -> None:
    with pytest.raises(CompressionError, match=rf"^candidate: factorize.*{text}"):
        factorize(trained, Factorize.model_validate(config), compression_data)


def test_a_pattern_gives_ranks_where_they_save_weights(trained: Network, compression_data: CompressionData) -> None:
    split = factorize(trained, Factorize(rank_share=0.9, ranks={"*": 20, "conv1": 0}), compression_data)
    assert split.spec.ranks == {"conv2": 20, "fc1": 20}  # the layer that makes the outputs is not named


def test_zeros_are_not_filled(trained: Network, compression_data: CompressionData) -> None:
    sparse = prune_weights(trained, PruneWeights(sparsity=0.5, scope="layer"), compression_data)
    with pytest.raises(CompressionError, match=r"holds zeros of prune_weights.*put factorize before prune_weights"):
        factorize(sparse, QUARTER, compression_data)


def test_a_recurrent_network_has_no_layer_to_split() -> None:
    network, data = untrained("gru series")
    with pytest.raises(CompressionError, match=r"splits no layer of this network \(output: it makes the outputs\)"):
        factorize(network, QUARTER, data)


def test_energy_is_the_measure_unless_another_is_given() -> None:
    assert Factorize().energy == 0.9
    assert Factorize(rank_share=0.5).energy is None
    again = Factorize.model_validate(Factorize(rank_share=0.5).model_dump(mode="json"))
    assert math.isclose(again.rank_share or 0, 0.5)
    with pytest.raises(ValidationError, match="give one of energy and rank_share"):
        Factorize(energy=0.5, rank_share=0.5)
