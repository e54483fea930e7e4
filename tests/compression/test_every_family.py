"""Every technique on every family of models: what comes out runs, is smaller where it says so, and answers alike."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from thresher.compression.data import CalibrationData, CompressionData
from thresher.compression.prune_channels import PruneChannels, prune_channels
from thresher.compression.prune_weights import PruneWeights, prune_weights
from thresher.compression.quantize_dynamic import QuantizeDynamic, quantize_dynamic
from thresher.compression.quantize_static import QuantizeStatic, quantize_static
from thresher.errors import CompressionError
from thresher.evaluation.cost import measure_cost
from thresher.export import check_parity, export_onnx
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.samples import Samples
from thresher.models import CHANNELS_ARE_FIXED
from thresher.models.network import Network, NetworkSpec
from thresher.models.storage import load_network, save_network
from thresher.training import Training

sys.path.append(str(Path(__file__).parents[1] / "models"))
from any_family import FAMILIES, draw  # lies beside the models' own tests

FIXED = [name for name, (model, _) in FAMILIES.items() if isinstance(model, CHANNELS_ARE_FIXED)]
PRUNABLE = [name for name in FAMILIES if name not in FIXED]
LENGTHS = [5, 9, 20, 3, 14, 7, 1, 12] * 4


def network_of(name: str) -> Network:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model, given = FAMILIES[name]
    return Network(NetworkSpec(model=model, input=given, output=ClassOutput(num_classes=4))).eval()


def samples_of(name: str) -> Samples[np.ndarray]:
    return Samples(draw(FAMILIES[name][1], LENGTHS), np.arange(len(LENGTHS)) % 4, tuple("abcd"))


def data_of(name: str) -> CompressionData:
    return CompressionData("candidate", FAMILIES[name][1], samples_of(name), samples_of(name), Training(epochs=1))


def run(onnx_file: bytes, name: str) -> np.ndarray:
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    (answers,) = session.run(None, {FAMILIES[name][1].name: samples_of(name).inputs})
    return np.asarray(answers)


@pytest.mark.parametrize("name", PRUNABLE)
def test_pruned_channels_make_a_smaller_file_with_fewer_sums(name: str, tmp_path: Path) -> None:
    network, given = network_of(name), FAMILIES[name][1]
    smaller = prune_channels(network, PruneChannels(ratio=0.5), data_of(name))
    before, after = export_onnx(network), export_onnx(smaller)
    check_parity(smaller, after, samples_of(name).inputs)
    costs = [measure_cost(file, given) for file in (before, after)]
    assert costs[1].macs < 0.7 * costs[0].macs
    assert costs[1].num_parameters < costs[0].num_parameters
    assert len(after) < len(before)
    save_network(smaller, tmp_path / "network")
    check_parity(load_network(tmp_path / "network"), after, samples_of(name).inputs)


@pytest.mark.parametrize("name", FIXED)
def test_where_channels_cannot_be_pruned_it_is_said(name: str) -> None:
    with pytest.raises(CompressionError, match=f"cannot prune a {FAMILIES[name][0].kind} yet"):
        prune_channels(network_of(name), PruneChannels(ratio=0.5), data_of(name))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_smallest_weights_of_all_layers_become_zero_and_tables_stay(name: str) -> None:
    network = network_of(name)
    sparse = prune_weights(network, PruneWeights(sparsity=0.5), data_of(name))
    tables = {f"body.{key}" for key, _ in network.body.named_parameters() if "embedding" in key or "positions" in key}
    tables |= {f"body.weights.{index}.weight" for index in range(2)} if name == "linear row" else set()
    pruned = [(weight, dict(network.named_parameters())[key]) for key, weight in sparse.named_parameters()
              if weight.ndim > 1 and key not in tables]  # fmt: skip
    zeros, total = (sum(int((weight == 0).sum()) for weight, _ in pruned), sum(weight.numel() for weight, _ in pruned))
    assert zeros == pytest.approx(total / 2, abs=2)
    threshold = max(float(old[new == 0].abs().max()) for new, old in pruned if (new == 0).any())
    assert all(bool((new[old.abs() > threshold] != 0).all()) for new, old in pruned)
    assert all(torch.equal(sparse.get_parameter(key), network.get_parameter(key)) for key in tables)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("technique", ["dynamic", "static"])
def test_quantized_files_run_and_answer_nearly_alike(name: str, technique: str) -> None:
    onnx_file = export_onnx(network_of(name))
    data = CalibrationData("candidate", FAMILIES[name][1], samples_of(name), seed=1)
    if technique == "dynamic":
        quantized = quantize_dynamic(onnx_file, QuantizeDynamic(), data)
    else:
        quantized = quantize_static(onnx_file, QuantizeStatic(calibration_samples=16), data)
    assert quantized != onnx_file
    assert np.abs(run(quantized, name) - run(onnx_file, name)).max() < 0.1
    ours, theirs = (measure_cost(file, FAMILIES[name][1]) for file in (quantized, onnx_file))
    assert (ours.macs, ours.num_parameters) == (theirs.macs, theirs.num_parameters)
