"""The network of cnn1d."""

from __future__ import annotations

import torch
from torch import nn

from thresher.modalities.series.model_input import SeriesInput
from thresher.models.cnn1d.config import Cnn1d
from thresher.models.padding import mark_steps


class SeriesFilters(nn.Module):
    """Series [B, T, C] and lengths [B] to [B, K].

    Padding is set to zero after every layer: to the next it looks like what lies beyond the end of any series. While
    training, batch norms count it among the steps.
    """

    def __init__(self, config: Cnn1d, series: SeriesInput, width: int) -> None:
        super().__init__()
        sizes = (series.channels, *config.channels)
        self.filters = nn.ModuleList(
            nn.Conv1d(before, after, config.kernel, padding="same", dilation=2**layer, bias=False)
            for layer, (before, after) in enumerate(zip(sizes, config.channels, strict=False))
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(after) for after in config.channels)
        self.relus = nn.ModuleList(nn.ReLU() for _ in config.channels)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(config.channels[-1], width)

    def forward(self, series_BTC: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        x_BCT = series_BTC.transpose(1, 2)
        real_B1T = mark_steps(lengths_B, series_BTC.shape[1])[:, None]
        for filter_, norm, relu in zip(self.filters, self.norms, self.relus, strict=True):
            x_BCT = relu(norm(filter_(x_BCT))) * real_B1T
        mean_BC = x_BCT.sum(dim=2) / lengths_B[:, None]
        out: torch.Tensor = self.output(self.dropout(mean_BC))
        return out
