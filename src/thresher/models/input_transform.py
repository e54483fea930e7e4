"""The first step of every network: from what an encoder makes to what a body takes. It is part of the ONNX graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from thresher.modalities.model_input import ImageInput, SeriesInput, TabularInput, TextInput


class NormalizeImage(nn.Module):
    """uint8 images [B, C, H, W] to float32 of zero mean and unit variance over the training split."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, spec: ImageInput) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, -1, 1, 1))
        self.register_buffer("scale", 1 / torch.tensor(spec.std).view(1, -1, 1, 1))

    def forward(self, image_BCHW: torch.Tensor) -> tuple[torch.Tensor]:
        return ((image_BCHW.float() - self.mean) * self.scale,)


class MeasureText(nn.Module):
    """Tokens [B, T] to tokens and the lengths [B] of the texts, int64."""

    def __init__(self, spec: TextInput) -> None:
        super().__init__()

    def forward(self, tokens_BT: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return tokens_BT, (tokens_BT != 0).sum(dim=1)


class SplitRow(nn.Module):
    """Rows [B, F] to numbers float32 [B, N] and codes int64 [B, M]."""

    def __init__(self, spec: TabularInput) -> None:
        super().__init__()
        self.num_numeric = spec.num_numeric

    def forward(self, row_BF: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return row_BF[:, : self.num_numeric], row_BF[:, self.num_numeric :].long()


class NormalizeSeries(nn.Module):
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


PREPARE: dict[type, Callable[[Any], nn.Module]] = {
    ImageInput: NormalizeImage,
    TextInput: MeasureText,
    TabularInput: SplitRow,
    SeriesInput: NormalizeSeries,
}
"""Input type -> module; its outputs are the arguments of the body's `forward`."""
