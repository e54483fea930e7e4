"""A network of any family, as it was drawn, and samples for it."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from thresher.compression.data import CompressionData
from thresher.modalities.outputs import ClassOutput
from thresher.models.network import Network, NetworkSpec
from thresher.training import Training

sys.path.append(str(Path(__file__).parents[2] / "models"))
from any_family import FAMILIES  # lies beside the models' own tests
from learnable import draw_learnable


def untrained(family: str) -> tuple[Network, CompressionData]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, taken = FAMILIES[family]
    network = Network(NetworkSpec(model=model, input=taken, output=ClassOutput(num_classes=4))).eval()
    samples = draw_learnable(taken, 64, seed=1)
    return network, CompressionData("candidate", taken, samples, samples, Training(epochs=1, batch_size=32))
