"""What the techniques make of the trained network."""

from __future__ import annotations

import pytest

from thresher.compression.data import CalibrationData, CompressionData
from thresher.compression.file.quantize_dynamic import QuantizeDynamic, quantize_dynamic
from thresher.compression.file.quantize_static import QuantizeStatic, quantize_static
from thresher.compression.network.prune_channels import PruneChannels, prune_channels
from thresher.models.network import Network


@pytest.fixture(scope="session")
def half(trained: Network, compression_data: CompressionData) -> Network:
    return prune_channels(trained, PruneChannels(ratio=0.5), compression_data)


@pytest.fixture(scope="session")
def static_onnx(float_onnx: bytes, calibration_data: CalibrationData) -> bytes:
    return quantize_static(float_onnx, QuantizeStatic(), calibration_data)


@pytest.fixture(scope="session")
def dynamic_onnx(float_onnx: bytes, calibration_data: CalibrationData) -> bytes:
    return quantize_dynamic(float_onnx, QuantizeDynamic(), calibration_data)
