"""Weights go by magnitude, globally, by layer, step by step and N of M, and stay zero up to the ONNX file."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from pydantic import ValidationError
from untrained import untrained

from thresher.compression.data import CompressionData
from thresher.compression.network.finetune import Finetune, finetune
from thresher.compression.network.magnitude import least_of_each_block, sparsity_at, zero_least
from thresher.compression.network.prune_weights import PruneWeights, prune_weights
from thresher.errors import CompressionError
from thresher.evaluation.cost import measure_cost
from thresher.events import Event, Step, TrainingEpoch
from thresher.export import export_onnx
from thresher.models.network import Network

MODULE = sys.modules[prune_weights.__module__]
TWO_OF_FOUR = PruneWeights(pattern="2:4")
ITERATIVE: dict[str, Any] = {"iterations": 3, "between": {"epochs": 1}}


def by_name(network: Network) -> dict[str, torch.Tensor]:
    prunable = {id(weight) for weight in network.prunable_weights()}
    return {name: weight.detach() for name, weight in network.body.named_parameters() if id(weight) in prunable}


def weights_of(network: Network) -> torch.Tensor:
    return torch.cat([weight.flatten() for weight in by_name(network).values()])


def num_zeros(weights: torch.Tensor) -> int:
    return int((weights == 0).sum())


def zeros_of_blocks(weight: np.ndarray | torch.Tensor, size: int, axis: int = 1) -> set[int]:
    blocks = np.moveaxis(np.asarray(weight), axis, -1)
    return set((blocks.reshape(-1, size) == 0).sum(axis=1).tolist())


def stored_weights(onnx_file: bytes) -> dict[str, list[np.ndarray]]:
    """Return operator -> its stored matrices and kernels; an operator has the name of its layer."""
    model = onnx.load_from_string(onnx_file)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    found = {node.name: [stored[name] for name in node.input if name in stored] for node in model.graph.node}
    return {name: [array for array in arrays if array.ndim > 1] for name, arrays in found.items()}


@pytest.fixture(scope="module")
def sparse(trained: Network, compression_data: CompressionData) -> Network:
    return prune_weights(trained, PruneWeights(sparsity=0.8), compression_data)


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.95])
def test_the_exact_share_of_weights_is_zero(
    sparsity: float, trained: Network, compression_data: CompressionData
) -> None:
    weights = weights_of(prune_weights(trained, PruneWeights(sparsity=sparsity), compression_data))
    assert num_zeros(weights) == round(sparsity * len(weights))


def test_the_smallest_weights_of_the_whole_network_are_the_ones(trained: Network, sparse: Network) -> None:
    before, after = by_name(trained), by_name(sparse)
    gone = torch.cat([before[name][after[name] == 0].abs() for name in before])
    kept = torch.cat([before[name][after[name] != 0].abs() for name in before])
    assert gone.max() <= kept.min()


def test_by_layer_each_loses_the_same_share_its_own_smallest(
    trained: Network, compression_data: CompressionData
) -> None:
    after = by_name(prune_weights(trained, PruneWeights(sparsity=0.7, scope="layer"), compression_data))
    for name, weight in by_name(trained).items():
        assert num_zeros(after[name]) == round(0.7 * weight.numel())
        assert weight[after[name] == 0].abs().max() <= weight[after[name] != 0].abs().min()


def test_biases_and_batch_norms_are_left_alone(trained: Network, sparse: Network) -> None:
    others = {name: tensor for name, tensor in trained.state_dict().items() if tensor.ndim <= 1}
    assert others
    assert all(torch.equal(sparse.state_dict()[name], tensor) for name, tensor in others.items())
    assert sparse.state_dict().keys() == trained.state_dict().keys()


def test_pruning_twice_gives_the_second_share_of_all_weights(
    sparse: Network, compression_data: CompressionData
) -> None:
    weights = weights_of(prune_weights(sparse, PruneWeights(sparsity=0.9), compression_data))
    assert num_zeros(weights) == round(0.9 * len(weights))


def test_two_of_four_inputs_are_kept_the_largest_ones(
    trained: Network, compression_data: CompressionData, events: list[Event]
) -> None:
    after = by_name(prune_weights(trained, TWO_OF_FOUR, compression_data))
    before = by_name(trained)
    assert torch.equal(after.pop("conv1.weight"), before.pop("conv1.weight"))
    assert [event.text for event in events if isinstance(event, Step)] == [
        "prune_weights: 2:4 leaves alone, by their number of inputs: conv1.weight (1)"
    ]
    for name, weight in before.items():
        assert zeros_of_blocks(after[name], 4) == {2}
        blocks = weight.movedim(1, -1).reshape(-1, 4)
        kept = after[name].movedim(1, -1).reshape(-1, 4)
        torch.testing.assert_close(kept.abs().sum(1), blocks.abs().topk(2, dim=1).values.sum(1))


def test_step_by_step_much_goes_at_first_and_little_at_last(
    trained: Network, compression_data: CompressionData, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []

    def watched(network: Network, config: Finetune, data: CompressionData) -> Network:
        seen.append(weights_of(network) == 0)
        return finetune(network, config, data)

    monkeypatch.setattr(MODULE, "finetune", watched)
    final = prune_weights(trained, PruneWeights(sparsity=0.8, **ITERATIVE), compression_data)
    seen.append(weights_of(final) == 0)
    total = len(seen[0])
    shares = [0.8 * (1 - (2 / 3) ** 3), 0.8 * (1 - (1 / 3) ** 3), 0.8]
    assert [int(zeros.sum()) for zeros in seen] == [round(share * total) for share in shares]
    assert all(bool((later[earlier]).all()) for earlier, later in pairwise(seen))
    assert sum(isinstance(event, TrainingEpoch) for event in events) == 2


def test_a_second_pruning_step_by_step_begins_at_the_zeros_that_there_are(
    sparse: Network, compression_data: CompressionData, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def untouched(network: Network, config: Finetune, data: CompressionData) -> Network:
        seen.append(num_zeros(weights_of(network)))
        return network

    monkeypatch.setattr(MODULE, "finetune", untouched)
    config = PruneWeights(sparsity=0.9, iterations=2, between=Finetune(epochs=1))
    prune_weights(sparse, config, compression_data)
    zeros, total = num_zeros(weights_of(sparse)), len(weights_of(sparse))
    assert seen == [pytest.approx(0.9 * total - (0.9 * total - zeros) / 8, abs=1)]


@pytest.mark.parametrize("family", ["resnet", "gru series", "transformer", "textcnn", "lstm text"])
def test_the_pattern_of_every_kind_of_layer_stays_through_finetuning_into_the_onnx_file(family: str) -> None:
    network, data = untrained(family)
    config = PruneWeights(pattern="2:4", scope="layer", **ITERATIVE)
    tuned = finetune(prune_weights(network, config, data), Finetune(epochs=1), data)
    fitting = {name: weight for name, weight in by_name(tuned).items() if weight.shape[1] % 4 == 0}
    assert len(fitting) >= 3
    stored = stored_weights(export_onnx(tuned))
    for name, weight in fitting.items():
        assert zeros_of_blocks(weight, 4) == {2}, name
        layer, _, kind = name.rpartition(".")
        if kind == "weight":
            (array,) = stored[layer]
            same = array if array.shape == weight.shape and np.array_equal(array == 0, weight == 0) else array.T
            assert np.array_equal(same == 0, weight == 0), name
    for layer, arrays in stored.items():  # of recurrent layers: [directions, gates * H, inputs]
        if any(name.startswith(f"{layer}.weight_ih") for name in fitting):
            assert zeros_of_blocks(arrays[0], 4, axis=2) == {2}


def test_an_unstructured_pattern_is_the_onnx_files_and_makes_it_compress(
    trained: Network, sparse: Network, compression_data: CompressionData
) -> None:
    tuned = finetune(sparse, Finetune(epochs=1), compression_data)
    assert torch.equal(weights_of(tuned) == 0, weights_of(sparse) == 0)
    file = export_onnx(tuned)
    for name, weight in by_name(tuned).items():
        (array,) = stored_weights(file)[name.removesuffix(".weight")]
        assert int((array == 0).sum()) == num_zeros(weight)
        assert np.array_equal(array == 0, weight == 0) or np.array_equal(array.T == 0, weight == 0)
    costs = [measure_cost(each, compression_data.input) for each in (export_onnx(trained), file)]
    assert costs[1].compressed_bytes < 0.5 * costs[0].compressed_bytes
    assert (costs[1].num_parameters, costs[1].macs) == (costs[0].num_parameters, costs[0].macs)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30), st.floats(0, 1))
def test_the_count_is_exact_where_weights_are_alike(values: list[int], sparsity: float) -> None:
    weights = [torch.tensor(values, dtype=torch.float32), torch.arange(5.0)]
    magnitudes = torch.cat(weights).abs()
    zero_least(weights, [torch.ones_like(weight, dtype=torch.bool) for weight in weights], sparsity)
    count = round(sparsity * (len(values) + 5))
    assert num_zeros(torch.cat(weights)) == max(count, num_zeros(magnitudes))
    assert torch.cat(weights).abs().sum() == magnitudes.sort().values[count:].sum()


@settings(deadline=None)
@given(st.integers(1, 7), st.integers(1, 3), st.integers(1, 3), st.data())
def test_every_block_keeps_its_n(kept: int, blocks: int, outputs: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(kept + 1, 8))
    weight = torch.randn(outputs, blocks * size, 2, generator=torch.Generator().manual_seed(kept))
    assert zeros_of_blocks(torch.where(least_of_each_block(weight, kept, size), 0, weight), size) == {size - kept}


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 50))
def test_the_schedule_rises_from_the_first_to_the_last_share(one: float, other: float, steps: int) -> None:
    initial, final = sorted((one, other))
    shares = [sparsity_at(initial, final, step / steps) for step in range(steps + 1)]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (pytest.approx(initial), final)


@pytest.mark.parametrize(("config", "text"), [
    ({}, "give one of sparsity and a pattern"),
    ({"sparsity": 0.5, "pattern": "2:4"}, "give one of sparsity and a pattern"),
    ({"pattern": "4:4"}, "keeps N of M weights"),
    ({"pattern": "two of four"}, "should match pattern"),
    ({"pattern": 124}, "reads N:M without quotes as a number"),
    ({"sparsity": 0.5, "iterations": 3}, "between need each other"),
    ({"sparsity": 0.5, "between": {"epochs": 1}}, "between need each other"),
])  # fmt: skip
def test_settings_that_make_no_sense_are_refused(config: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        PruneWeights.model_validate(config)


@pytest.mark.parametrize(("config", "text"), [
    ({"sparsity": 1e-6}, r"zeroes none of the [\d,]+ weights that are not zero"),
    ({"sparsity": 0.999}, r"would leave \S+ none of its [\d,]+ weights.*or set scope: layer\."),
    ({"sparsity": 0.999, "scope": "layer"}, r"would leave conv1.weight none of its 144 weights. Lower sparsity\."),
    ({"pattern": "1:5"}, r"multiple of 5; this network has conv1.weight \(1\), conv2.weight \(16\)"),
])  # fmt: skip
def test_what_prunes_nothing_or_too_much_is_said(
    config: dict[str, Any], text: str, trained: Network, compression_data: CompressionData
) -> None:
    with pytest.raises(CompressionError, match=rf"^candidate: .*{text}"):
        prune_weights(trained, PruneWeights.model_validate(config), compression_data)


def test_a_network_that_is_as_sparse_already_is_said(sparse: Network, compression_data: CompressionData) -> None:
    with pytest.raises(CompressionError, match="zeroes none of the"):
        prune_weights(sparse, PruneWeights(sparsity=0.8), compression_data)
