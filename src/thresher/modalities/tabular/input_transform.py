"""The first step of every network for rows of a table; it is part of the ONNX graph."""

from __future__ import annotations

import torch
from torch import nn

from thresher.modalities.tabular.model_input import TabularInput


class TabularTransform(nn.Module):
    """Rows [B, F] to numbers float32 [B, N] and codes int64 [B, M]."""

    def __init__(self, spec: TabularInput) -> None:
        super().__init__()
        self.num_numeric = spec.num_numeric

    def forward(self, row_BF: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return row_BF[:, : self.num_numeric], row_BF[:, self.num_numeric :].long()
