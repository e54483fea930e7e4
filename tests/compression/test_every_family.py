"""Every technique on every family of models: what comes out runs, is smaller where it says so, and answers alike."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from thresher.compression.apply import apply_steps
from thresher.compression.data import CalibrationData, CompressionData
from thresher.compression.file.quantize_dynamic import QuantizeDynamic
from thresher.compression.file.quantize_static import QuantizeStatic
from thresher.compression.network.finetune import Finetune, finetune
from thresher.compression.network.prune_channels import PruneChannels, prune_channels
from thresher.compression.network.prune_weights import PruneWeights, prune_weights
from thresher.errors import CompressionError
from thresher.evaluation.cost import measure_cost
from thresher.evaluation.runtime import open_session, predict
from thresher.export import check_parity, export_onnx
from thresher.kinds.record import ModelKind
from thresher.kinds.registry import kind_of
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.samples import Samples
from thresher.modalities.tabular.model_input import TabularInput
from thresher.modalities.text.model_input import TextInput
from thresher.models.linear import Linear
from thresher.models.network import Network, NetworkSpec
from thresher.models.storage import load_network, save_network
from thresher.models.textcnn.config import TextCnn
from thresher.training import Training
from thresher.training.loop import train
from thresher.training.optimizers import Adam

sys.path.append(str(Path(__file__).parents[1] / "models"))
from any_family import FAMILIES  # lies beside the models' own tests
from learnable import draw_learnable

WITHOUT = [name for name, (model, _) in FAMILIES.items() if not kind_of(ModelKind, model).has_channels]
PRUNABLE = [name for name in FAMILIES if name not in WITHOUT]
TRAINING = Training(optimizer=Adam(lr=0.005), epochs=8, batch_size=32)


@cache
def samples_of(name: str, seed: int = 3) -> Samples[np.ndarray]:
    return draw_learnable(FAMILIES[name][1], 300, seed)


@cache
def network_of(name: str) -> Network:
    """Return the network trained."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model, given = FAMILIES[name]
    network = Network(NetworkSpec(model=model, input=given, output=ClassOutput(num_classes=4)))
    training_samples = draw_learnable(given, 600, seed=1)
    return train(network, training_samples, samples_of(name, 2), TRAINING, "float")[0].eval()


@cache
def file_of(name: str) -> bytes:
    return export_onnx(network_of(name))


def data_of(name: str) -> CompressionData:
    samples = samples_of(name, 4)
    return CompressionData("candidate", FAMILIES[name][1], samples, samples, TRAINING)


def calibration_of(name: str) -> CalibrationData:
    return CalibrationData("candidate", FAMILIES[name][1], samples_of(name, 4), seed=1)


def run(onnx_file: bytes, name: str) -> np.ndarray:
    return predict(open_session(onnx_file, 1), samples_of(name).inputs, FAMILIES[name][1])


def tables_of(network: Network) -> set[str]:
    """Return the names of all embeddings."""
    tables = [name for name, module in network.named_modules() if isinstance(module, torch.nn.Embedding)]
    return {f"{name}.weight" for name in tables}


@pytest.mark.parametrize("name", PRUNABLE)
def test_pruned_channels_make_a_smaller_file_with_fewer_sums(name: str, tmp_path: Path) -> None:
    network, given = network_of(name), FAMILIES[name][1]
    smaller = prune_channels(network, PruneChannels(ratio=0.5), data_of(name))
    before, after = file_of(name), export_onnx(smaller)
    check_parity(smaller, after, samples_of(name).inputs)
    costs = [measure_cost(file, given) for file in (before, after)]
    assert costs[1].macs < 0.7 * costs[0].macs
    assert costs[1].num_parameters < costs[0].num_parameters
    assert len(after) < len(before)
    save_network(smaller, tmp_path / "network")
    check_parity(load_network(tmp_path / "network"), after, samples_of(name).inputs)


@pytest.mark.parametrize("name", WITHOUT)
def test_where_there_are_no_channels_it_is_said(name: str) -> None:
    with pytest.raises(CompressionError, match="prune_channels: a linear has no channels that can be pruned"):
        prune_channels(network_of(name), PruneChannels(ratio=0.5), data_of(name))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_smallest_weights_of_all_layers_become_zero_and_tables_stay(name: str) -> None:
    network = network_of(name)
    sparse = prune_weights(network, PruneWeights(sparsity=0.5), data_of(name))
    tables = tables_of(network)
    pruned = [(weight, dict(network.named_parameters())[key]) for key, weight in sparse.named_parameters()
              if weight.ndim > 1 and key not in tables]  # fmt: skip
    zeros, total = (sum(int((weight == 0).sum()) for weight, _ in pruned), sum(weight.numel() for weight, _ in pruned))
    assert zeros == pytest.approx(total / 2, abs=2)
    threshold = max(float(old[new == 0].detach().abs().max()) for new, old in pruned if (new == 0).any())
    assert all(bool((new[old.abs() > threshold] != 0).all()) for new, old in pruned)
    assert all(torch.equal(sparse.get_parameter(key), network.get_parameter(key)) for key in tables)


@pytest.mark.parametrize("name", ["mlp row", "textcnn", "lstm text", "gru series", "transformer", "cnn1d"])
def test_finetuning_keeps_zeros_at_zero_and_trains_the_rest_of_every_kind_of_layer(name: str) -> None:
    sparse = prune_weights(network_of(name), PruneWeights(sparsity=0.5), data_of(name))
    tuned = finetune(sparse, Finetune(epochs=1), data_of(name))
    tables = tables_of(sparse)
    for key, weight in sparse.named_parameters():
        now = tuned.get_parameter(key)
        assert not torch.equal(now, weight), key
        if weight.ndim > 1 and key not in tables:
            assert not now[weight == 0].any(), key
        if key in tables and "positions" not in key:
            assert not now[0].any(), key


@pytest.mark.parametrize("technique", [
    QuantizeDynamic(), QuantizeStatic(), QuantizeStatic(calibration="entropy"), QuantizeStatic(calibration="percentile")
], ids=["dynamic", "minmax", "entropy", "percentile"])  # fmt: skip
@pytest.mark.parametrize("name", FAMILIES)
def test_quantized_files_of_trained_networks_find_the_same_classes(
    name: str, technique: QuantizeDynamic | QuantizeStatic
) -> None:
    onnx_file = file_of(name)
    quantized: bytes = apply_steps((technique,), onnx_file, calibration_of(name))
    theirs, ours = run(onnx_file, name), run(quantized, name)
    assert (theirs.argmax(axis=1) == samples_of(name).labels).mean() > 0.95
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean() > 0.98
    assert np.abs(ours - theirs).mean() < 0.02
    costs = [measure_cost(file, FAMILIES[name][1]) for file in (quantized, onnx_file)]
    assert costs[0].macs == costs[1].macs
    assert costs[0].num_parameters == costs[1].num_parameters


@pytest.mark.parametrize("technique", [QuantizeDynamic(), QuantizeStatic(calibration_samples=16)], ids=lambda t: t.kind)
def test_embeddings_are_quantized_which_are_most_of_a_text_models_file(
    technique: QuantizeDynamic | QuantizeStatic,
) -> None:
    given = TextInput(vocabulary_size=5000, max_length=20)
    model = TextCnn(dimension=16, num_filters=4)
    onnx_file = export_onnx(Network(NetworkSpec(model=model, input=given, output=ClassOutput(num_classes=4))))
    data = CalibrationData("candidate", given, draw_learnable(given, 20, seed=1), seed=1)
    assert len(apply_steps((technique,), onnx_file, data)) < 0.4 * len(onnx_file)


@pytest.mark.parametrize("technique", [QuantizeDynamic(), QuantizeStatic()], ids=lambda technique: technique.kind)
def test_a_linear_model_over_categories_alone_can_be_quantized(technique: QuantizeDynamic | QuantizeStatic) -> None:
    given = TabularInput(num_numeric=0, cardinalities=(4, 9))
    network = Network(NetworkSpec(model=Linear(), input=given, output=ClassOutput(num_classes=4))).eval()
    for table in tables_of(network):
        torch.nn.init.normal_(network.get_parameter(table))
    onnx_file, samples = export_onnx(network), draw_learnable(TabularInput(num_numeric=1, cardinalities=(4, 9)), 50, 1)
    samples = samples.with_inputs(samples.inputs[:, 1:])
    check_parity(network, onnx_file, samples.inputs)
    quantized = apply_steps((technique,), onnx_file, CalibrationData("candidate", given, samples, 1))
    answers = [predict(open_session(file, 1), samples.inputs, given) for file in (quantized, onnx_file)]
    np.testing.assert_allclose(*answers, atol=0.03)
