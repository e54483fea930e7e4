"""What each layer's channels save of the objective: sums and bytes that can be counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from thresher.compression.data import CompressionData
from thresher.evaluation import Measurement
from thresher.models.network import Network
from thresher.search.assess import Assessor
from thresher.search.result import Sensitivity
from thresher.search.savings import measure_savings
from thresher.search.sensitivity import measure_sensitivity
from thresher.search.study import kept_savings, open_study

WIDTHS = {"conv1": 16, "conv2": 32, "fc1": 32}
PLACES = {"conv1": 8 * 8, "conv2": 4 * 4}
"""Of a layer's output, in which each channel has a value."""
AFTER_POOLING = 2 * 2
NUM_CLASSES = 10


def sums(conv1: int, conv2: int, fc1: int) -> int:
    """The multiply-accumulates of the digits' network, of two 3x3 convolutions and two linear layers."""
    convolutions = 9 * conv1 * PLACES["conv1"] + 9 * conv1 * conv2 * PLACES["conv2"]
    return convolutions + AFTER_POOLING * conv2 * fc1 + fc1 * NUM_CLASSES


@pytest.fixture(scope="module")
def sensitivity(trained: Network, compression_data: CompressionData) -> Sensitivity:
    return measure_sensitivity(trained, compression_data)


def savings_of(
    objective: str, trained: Network, float_onnx: bytes, data: CompressionData, sensitivity: Sensitivity
) -> dict[str, float]:
    assessor = Assessor(trained, float_onnx, data, Measurement(batch_sizes=(8,)), times=objective == "latency_us")
    reference = assessor.reference(data.validation_samples)
    return measure_savings(assessor, reference, sensitivity, objective)


def test_half_of_each_layer_saves_the_sums_that_it_has_alone_or_shares(
    trained: Network, float_onnx: bytes, compression_data: CompressionData, sensitivity: Sensitivity
) -> None:
    savings = savings_of("macs", trained, float_onnx, compression_data, sensitivity)
    whole = sums(**WIDTHS)
    expected = {name: (whole - sums(**{**WIDTHS, name: width // 2})) / 0.5 for name, width in WIDTHS.items()}
    assert savings == pytest.approx(expected)
    assert savings["conv2"] > 10 * savings["fc1"] > 0


def test_bytes_and_microseconds_are_those_of_the_file(
    trained: Network, float_onnx: bytes, compression_data: CompressionData, sensitivity: Sensitivity
) -> None:
    size = savings_of("size_bytes", trained, float_onnx, compression_data, sensitivity)
    weights_between = 4 * 9 * WIDTHS["conv1"] * WIDTHS["conv2"]
    assert weights_between < size["conv1"] < 1.2 * weights_between
    latency = savings_of("latency_us", trained, float_onnx, compression_data, sensitivity)
    assert latency.keys() == WIDTHS.keys() and min(latency.values()) >= 0 and max(latency.values()) > 0


def test_a_layer_that_cannot_be_pruned_saves_nothing(
    trained: Network, float_onnx: bytes, compression_data: CompressionData, sensitivity: Sensitivity
) -> None:
    whole_alone = {**sensitivity.curves, "fc1": sensitivity.curves["fc1"][:1]}
    single = sensitivity.model_copy(update={"curves": whole_alone})
    assert savings_of("macs", trained, float_onnx, compression_data, single)["fc1"] == 0


def test_a_search_that_goes_on_does_not_measure_again(tmp_path: Path) -> None:
    measured = {"conv1": 1.5, "conv2": 0.0}
    assert kept_savings(open_study(tmp_path, "key"), lambda: dict(measured)) == measured
    assert kept_savings(open_study(tmp_path, "key"), lambda: {"conv1": 9.0}) == measured
    assert kept_savings(open_study(tmp_path, "other"), lambda: {"conv1": 9.0}) == {"conv1": 9.0}
