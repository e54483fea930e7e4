"""Rows of a table as torch takes them: numbers as they are, categories by embeddings."""

from __future__ import annotations

import torch
from torch import nn

from thresher.modalities.tabular.model_input import TabularInput

MAX_DIMENSIONS = 50


class RowEmbedding(nn.Module):
    """Numbers [B, N] and codes [B, M] to [B, ``width``].

    A column of k codes gets min(50, k/2) dimensions, rounded up (the rule of thumb of Howard and Gugger's fastai). The
    code of a category that training did not see is the zero vector.
    """

    def __init__(self, row: TabularInput) -> None:
        super().__init__()
        sizes = [min(MAX_DIMENSIONS, (count + 1) // 2) for count in row.cardinalities]
        self.embeddings = nn.ModuleList(
            nn.Embedding(count, size, padding_idx=0) for count, size in zip(row.cardinalities, sizes, strict=True)
        )
        self.width = row.num_numeric + sum(sizes)

    def forward(self, numbers_BN: torch.Tensor, codes_BM: torch.Tensor) -> torch.Tensor:
        embedded = [embedding(codes_BM[:, column]) for column, embedding in enumerate(self.embeddings)]
        return torch.cat([numbers_BN, *embedded], dim=1) if embedded else numbers_BN


class RowNetwork(nn.Module):
    """Layers over embedded rows."""

    def __init__(self, embedding: RowEmbedding, layers: nn.Module) -> None:
        super().__init__()
        self.embedding = embedding
        self.layers = layers

    def forward(self, numbers_BN: torch.Tensor, codes_BM: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layers(self.embedding(numbers_BN, codes_BM))
        return out


class RowLinear(nn.Module):
    """W x + b over the numbers, plus one weight for each category."""

    def __init__(self, row: TabularInput, width: int) -> None:
        super().__init__()
        self.weights = nn.ModuleList(nn.Embedding(count, width, padding_idx=0) for count in row.cardinalities)
        for weight in self.weights:
            nn.init.zeros_(weight.weight)  # type: ignore[arg-type]  # an Embedding's own
        self.linear = nn.Linear(row.num_numeric, width)
        self.has_numbers = row.num_numeric > 0

    def forward(self, numbers_BN: torch.Tensor, codes_BM: torch.Tensor) -> torch.Tensor:
        # A product over no numbers has no range that a quantization could calibrate.
        out: torch.Tensor = self.linear(numbers_BN) if self.has_numbers else self.linear.bias
        for column, weight in enumerate(self.weights):
            out = out + weight(codes_BM[:, column])
        return out
