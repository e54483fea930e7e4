"""Pruned recurrent networks and Transformers go on as others: trained, rounded, split, weights pruned."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from sequences import Sequential, answers, build_trained, data_for, num_weights

from thresher.compression.data import CalibrationData
from thresher.compression.file.quantize_dynamic import QuantizeDynamic, quantize_dynamic
from thresher.compression.network.factorize import Factorize, factorize
from thresher.compression.network.finetune import Finetune, finetune
from thresher.compression.network.prune_channels import PruneChannels, prune_channels
from thresher.compression.network.prune_weights import PruneWeights, prune_weights
from thresher.compression.network.pruning_groups import prunable_groups
from thresher.compression.network.quantize_aware import QuantizeAware, quantize_aware
from thresher.evaluation.runtime import open_session, predict
from thresher.export import check_parity, export_onnx
from thresher.models.network import Network
from thresher.models.recurrent.config import Gru, Lstm
from thresher.models.storage import load_network, save_network
from thresher.models.transformer.config import Transformer

MODELS: dict[str, Sequential] = {
    "gru": Gru(hidden=16),
    "transformer": Transformer(dimension=32, num_heads=4, num_layers=1, feed_forward=64),
}


@cache
def tuned(name: str) -> Network:
    """Return the network with half of its units and heads, trained on."""
    model = MODELS[name]
    data = data_for(model)
    pruned = prune_channels(build_trained(model), PruneChannels(ratio=0.5), data)
    return finetune(pruned, Finetune(epochs=3), data).eval()


def accuracy(probabilities: np.ndarray, name: str) -> float:
    return float((probabilities.argmax(axis=1) == data_for(MODELS[name]).validation_samples.labels).mean())


@pytest.mark.parametrize("name", MODELS)
def test_finetuning_mends_what_pruning_took_and_int8_keeps_it(name: str) -> None:
    samples = data_for(MODELS[name]).validation_samples
    ours = answers(tuned(name), samples.inputs)
    assert accuracy(ours, name) > 0.95
    onnx_file = export_onnx(tuned(name))
    data = CalibrationData("candidate", tuned(name).spec.input, samples, seed=1)
    quantized = quantize_dynamic(onnx_file, QuantizeDynamic(), data)
    rounded = predict(open_session(quantized, 1), samples.inputs, data.input)
    assert accuracy(rounded, name) > 0.95
    assert np.abs(rounded - ours).mean() < 0.02


@pytest.mark.parametrize("name", MODELS)
def test_training_with_rounding_follows_pruning(name: str, tmp_path: Path) -> None:
    data = data_for(MODELS[name])
    rounded = quantize_aware(tuned(name), QuantizeAware(epochs=1, calibration_samples=64), data)
    assert rounded.spec.channel_plan == tuned(name).spec.channel_plan
    inputs = data.validation_samples.inputs
    onnx_file = export_onnx(rounded)
    check_parity(rounded, onnx_file, inputs)
    assert accuracy(predict(open_session(onnx_file, 1), inputs, data.input), name) > 0.95
    save_network(rounded, tmp_path)
    np.testing.assert_array_equal(answers(load_network(tmp_path), inputs), answers(rounded, inputs))


@pytest.mark.parametrize("name", MODELS)
def test_weights_can_be_pruned_before_and_after(name: str) -> None:
    data = data_for(MODELS[name])
    sparse = prune_weights(tuned(name), PruneWeights(sparsity=0.5), data)
    smaller = prune_channels(sparse, PruneChannels(ratio=0.5), data)
    assert num_weights(smaller) < 0.65 * num_weights(sparse)
    zeros = [int((weight == 0).sum()) for weight in smaller.prunable_weights()]
    assert sum(zeros) > 0.2 * sum(weight.numel() for weight in smaller.prunable_weights())
    assert list(prunable_groups(smaller).values()) == [count // 2 for count in prunable_groups(sparse).values()]


def test_layers_of_low_rank_lose_heads_units_and_ranks(tmp_path: Path) -> None:
    data = data_for(MODELS["transformer"])
    split = factorize(tuned("transformer"), Factorize(rank_share=0.4), data)
    groups = {
        "query_key_value.0": 13, "query_key_value.1": 2, "attention_output.0": 6, "expand.0": 13, "expand.1": 32,
        "contract.0": 13,
    }  # fmt: skip
    assert prunable_groups(split) == {f"blocks.0.{name}": count for name, count in groups.items()}
    ratios = {"blocks.0.query_key_value.1": 0.5, "blocks.0.expand.1": 0.75, "blocks.0.contract.0": 0.6}
    keep = {name: 0.0 for name in prunable_groups(split) if name not in ratios}
    pruned = prune_channels(split, PruneChannels(ratio=0.5, ratios={**ratios, **keep}), data)
    shapes = {name: tuple(weight.shape) for name, weight in pruned.body.named_parameters() if weight.ndim > 1}
    assert {name.removeprefix("blocks.0."): shape for name, shape in shapes.items() if "blocks" in name} == {
        "query_key_value.0.weight": (13, 32), "query_key_value.1.weight": (24, 13),
        "attention_output.0.weight": (6, 8), "attention_output.1.weight": (32, 6),
        "expand.0.weight": (13, 32), "expand.1.weight": (8, 13),
        "contract.0.weight": (5, 8), "contract.1.weight": (32, 5),
    }  # fmt: skip
    inputs = data.validation_samples.inputs
    save_network(pruned, tmp_path)
    np.testing.assert_array_equal(answers(load_network(tmp_path), inputs), answers(pruned, inputs))


def test_an_output_layer_of_low_rank_loses_the_inputs_of_its_first_part() -> None:
    model = Lstm(dimension=8, hidden=8)
    network, data = build_trained(model), data_for(model)
    split = factorize(network, Factorize(ranks={"output": 2}), data)
    pruned = prune_channels(split, PruneChannels(ratio=0.5, ratios={"output.0": 0}), data)
    assert prunable_groups(pruned) == {"layers.0": 4, "output.0": 2}
    assert [tuple(layer.weight.shape) for layer in pruned.body.output] == [(2, 8), (4, 2)]  # type: ignore[union-attr]
