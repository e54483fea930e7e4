"""The network of textcnn."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from thresher.modalities.text.model_input import TextInput
from thresher.models.padding import mark_steps
from thresher.models.textcnn.config import TextCnn

EMBEDDING_RANGE = 0.25
"""Word vectors start uniformly within it, as in Kim's paper."""


class TextFilters(nn.Module):
    """Tokens [B, T] and lengths [B] to [B, K].

    A filter starts at every token, and beyond the end of the text it sees zeros: so the shortest text has an answer,
    and none depends on padding.
    """

    def __init__(self, config: TextCnn, text: TextInput, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(text.vocabulary_size, config.dimension, padding_idx=0)
        nn.init.uniform_(self.embedding.weight, -EMBEDDING_RANGE, EMBEDDING_RANGE)
        with torch.no_grad():
            self.embedding.weight[0] = 0
        self.filters = nn.ModuleList(
            nn.Conv1d(config.dimension, config.num_filters, size) for size in config.filter_widths
        )
        self.relus = nn.ModuleList(nn.ReLU() for _ in config.filter_widths)
        self.widths = config.filter_widths
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(config.num_filters * len(config.filter_widths), width)

    def forward(self, tokens_BT: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        x_BDT = self.embedding(tokens_BT).transpose(1, 2)
        real_B1T = mark_steps(lengths_B, tokens_BT.shape[1])[:, None]
        # After the ReLU nothing is below zero, so that zero where there is no token never is the largest.
        largest = [
            (relu(filter_(F.pad(x_BDT, (0, width - 1)))) * real_B1T).amax(dim=2)
            for filter_, relu, width in zip(self.filters, self.relus, self.widths, strict=True)
        ]
        out: torch.Tensor = self.output(self.dropout(torch.cat(largest, dim=1)))
        return out
