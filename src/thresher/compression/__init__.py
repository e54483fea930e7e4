"""Techniques that make a model smaller or faster. A new one is one file here and its line in the union and a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from thresher.compression.data import CalibrationData, CompressionData
from thresher.compression.finetune import Finetune, finetune
from thresher.compression.prune_channels import PruneChannels, prune_channels
from thresher.compression.prune_weights import PruneWeights, prune_weights
from thresher.compression.quantize_dynamic import QuantizeDynamic, quantize_dynamic
from thresher.compression.quantize_static import QuantizeStatic, quantize_static

if TYPE_CHECKING:
    from thresher.models.network import Network

NetworkTechnique = PruneChannels | PruneWeights | Finetune
"""These work on the torch network, and come first in a chain."""
OnnxTechnique = QuantizeDynamic | QuantizeStatic
"""These work on the exported file, and end a chain."""
Technique = Annotated[NetworkTechnique | OnnxTechnique, Field(discriminator="kind")]

APPLY_TO_NETWORK: dict[type, Callable[[Network, Any, CompressionData], Network]] = {
    PruneChannels: prune_channels,
    PruneWeights: prune_weights,
    Finetune: finetune,
}
"""Config type -> function (network, config, CompressionData) -> network."""

APPLY_TO_ONNX: dict[type, Callable[[bytes, Any, CalibrationData], bytes]] = {
    QuantizeDynamic: quantize_dynamic,
    QuantizeStatic: quantize_static,
}
"""Config type -> function (float ONNX file, config, CalibrationData) -> ONNX file, both as bytes."""
