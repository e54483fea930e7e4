"""The first step of every network for series; it is part of the ONNX graph."""

from __future__ import annotations

import torch
from torch import nn

from thresher.modalities.series.model_input import SeriesInput


class SeriesTransform(nn.Module):
    """Series float64 [B, T, C] to float32 of zero mean and unit variance, 0 where padded, and their lengths [B], int64.

    The mean is taken off before anything becomes float32: what is small beside a large offset would be lost.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, spec: SeriesInput) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(spec.mean, dtype=torch.float64))
        self.register_buffer("scale", 1 / torch.tensor(spec.std, dtype=torch.float64))

    def forward(self, series_BTC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        normal = ((series_BTC - self.mean) * self.scale).float()
        given = ~torch.isnan(normal)
        return torch.where(given, normal, torch.zeros_like(normal)), given[:, :, 0].sum(dim=1)
