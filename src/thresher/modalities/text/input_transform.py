"""The first step of every network for texts; it is part of the ONNX graph."""

from __future__ import annotations

import torch
from torch import nn

from thresher.modalities.text.model_input import TextInput


class TextTransform(nn.Module):
    """Tokens [B, T] to tokens and the lengths [B] of the texts, int64."""

    def __init__(self, spec: TextInput) -> None:
        super().__init__()

    def forward(self, tokens_BT: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return tokens_BT, (tokens_BT != 0).sum(dim=1)
