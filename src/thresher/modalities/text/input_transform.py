"""The first step of every network for texts; it is part of the ONNX graph."""

from __future__ import annotations

import torch
from torch import nn

from thresher.modalities.text.model_input import TextInput


class TextTransform(nn.Module):
    """Tokens [B, T] to tokens and the lengths [B] of the texts, int64."""

    def __init__(self, spec: TextInput) -> None:
        super().__init__()
        self.padding, self.pads_within = spec.padding, spec.pads_within

    def forward(self, tokens_BT: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        used_BT = tokens_BT != self.padding
        if not self.pads_within:
            return tokens_BT, used_BT.sum(dim=1)
        places_T = torch.arange(1, tokens_BT.shape[1] + 1, device=tokens_BT.device)
        return tokens_BT, (used_BT * places_T).amax(dim=1)
