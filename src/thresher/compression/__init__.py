"""Techniques that make a model smaller or faster. A new one is one file here and its line in the union and a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, get_args

from pydantic import Field

from thresher.compression.data import CalibrationData, CompressionData
from thresher.compression.file.float16 import Half, half
from thresher.compression.file.optimize_graph import OptimizeGraph, optimize_graph
from thresher.compression.file.quantize_dynamic import QuantizeDynamic, quantize_dynamic
from thresher.compression.file.quantize_static import QuantizeStatic, quantize_static
from thresher.compression.file.quantize_weights import QuantizeWeights, quantize_weights
from thresher.compression.network.factorize import Factorize, factorize
from thresher.compression.network.finetune import Finetune, finetune
from thresher.compression.network.prune_channels import PruneChannels, prune_channels
from thresher.compression.network.prune_weights import PruneWeights, prune_weights
from thresher.compression.network.quantize_aware import QuantizeAware, quantize_aware
from thresher.config import Config

if TYPE_CHECKING:
    from thresher.models.network import Network

NetworkTechnique = PruneChannels | PruneWeights | Factorize | Finetune | QuantizeAware
"""These work on the torch network, and come first in a chain."""
OnnxTechnique = QuantizeDynamic | QuantizeStatic | QuantizeWeights | Half | OptimizeGraph
"""These work on the exported file, and end a chain."""
LAST: tuple[type, ...] = (QuantizeAware, QuantizeDynamic, QuantizeStatic, QuantizeWeights, Half)
"""These end a chain: nothing follows but what `FOLLOWS_ALL` names."""
FOLLOWS_ALL: tuple[type[Config], ...] = (OptimizeGraph,)
"""These may stand anywhere among the steps on the ONNX file."""
Technique = Annotated[NetworkTechnique | OnnxTechnique, Field(discriminator="kind")]

APPLY_TO_NETWORK: dict[type, Callable[[Network, Any, CompressionData], Network]] = {
    PruneChannels: prune_channels,
    PruneWeights: prune_weights,
    Factorize: factorize,
    Finetune: finetune,
    QuantizeAware: quantize_aware,
}
"""Config type -> function (network, config, CompressionData) -> network."""

APPLY_TO_ONNX: dict[type, Callable[[bytes, Any, CalibrationData], bytes]] = {
    QuantizeDynamic: quantize_dynamic,
    QuantizeStatic: quantize_static,
    QuantizeWeights: quantize_weights,
    Half: half,
    OptimizeGraph: optimize_graph,
}
"""Config type -> function (float ONNX file, config, CalibrationData) -> ONNX file, both as bytes."""


def check_tables() -> None:
    """Assert that every technique of a union is in that union's table, and no other: called when recipes are read."""
    # A function, since what a module does when it is imported counts as code of every node that uses any of its names.
    for union, table in ((NetworkTechnique, APPLY_TO_NETWORK), (OnnxTechnique, APPLY_TO_ONNX)):
        odd = sorted(technique.__name__ for technique in set(get_args(union)) ^ table.keys())
        assert not odd, f"thresher/compression/__init__.py: in a union or in its table alone: {', '.join(odd)}"
