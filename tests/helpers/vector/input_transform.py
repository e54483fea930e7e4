"""The only file that needs torch."""

from __future__ import annotations

import torch
from helpers.vector.encoder import VectorInput
from torch import nn


class VectorTransform(nn.Module):
    def __init__(self, spec: VectorInput) -> None:
        super().__init__()

    def forward(self, vector_BD: torch.Tensor) -> tuple[torch.Tensor]:
        return (vector_BD,)
