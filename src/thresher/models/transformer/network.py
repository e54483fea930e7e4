"""The network of transformer."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from thresher.modalities.text.model_input import TextInput
from thresher.models.padding import mark_steps
from thresher.models.transformer.config import Transformer

EMBEDDING_STD = 0.1
WATCH = "attention_watch"
"""The attribute of a module that attends with what is told of it; most have none."""


class TransformerEncoder(nn.Module):
    """Tokens [B, T] and lengths [B] to [B, K]."""

    def __init__(self, config: Transformer, text: TextInput, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(text.vocabulary_size, config.dimension, padding_idx=0)
        self.positions = nn.Embedding(text.max_length, config.dimension)
        for table in (self.embedding, self.positions):
            nn.init.normal_(table.weight, std=EMBEDDING_STD)
        with torch.no_grad():
            self.embedding.weight[0] = 0
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.dimension)
        self.output = nn.Linear(config.dimension, width)

    def forward(self, tokens_BT: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        num_steps = tokens_BT.shape[1]
        real_BT = mark_steps(lengths_B, num_steps)
        places_T = torch.arange(num_steps, device=tokens_BT.device)
        x_BTD = self.dropout(self.embedding(tokens_BT) + self.positions(places_T))
        attends_B11T = (real_BT > 0)[:, None, None]
        for block in self.blocks:
            x_BTD = block(x_BTD, attends_B11T)
        mean_BD = (self.norm(x_BTD) * real_BT[..., None]).sum(dim=1) / lengths_B[:, None]
        out: torch.Tensor = self.output(self.dropout(mean_BD))
        return out


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)), float [B, T, D].

    It has as many heads as its query, key and value are wide: pruning leaves heads their width.
    """

    def __init__(self, config: Transformer) -> None:
        super().__init__()
        dimension = config.dimension
        self.head_width = dimension // config.num_heads
        self.attention_norm = nn.LayerNorm(dimension)
        self.query_key_value = nn.Linear(dimension, 3 * dimension)
        self.attention_output = nn.Linear(dimension, dimension)
        self.feed_forward_norm = nn.LayerNorm(dimension)
        self.expand = nn.Linear(dimension, config.feed_forward)
        self.relu = nn.ReLU()
        self.contract = nn.Linear(config.feed_forward, dimension)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BTD: torch.Tensor, attends_B11T: torch.Tensor) -> torch.Tensor:
        x_BTD = x_BTD + self.dropout(self._attend(self.attention_norm(x_BTD), attends_B11T))
        inner = self.dropout(self.relu(self.expand(self.feed_forward_norm(x_BTD))))
        added: torch.Tensor = self.dropout(self.contract(inner))
        return x_BTD + added

    def _attend(self, x_BTD: torch.Tensor, attends_B11T: torch.Tensor) -> torch.Tensor:
        parts = self.query_key_value(x_BTD).chunk(3, dim=2)
        query, key, value = (part.unflatten(2, (-1, self.head_width)).transpose(1, 2) for part in parts)
        tell(self, query, key, value)
        mixed_BHTE = mix(query, key, value, attends_B11T)
        out: torch.Tensor = self.attention_output(mixed_BHTE.transpose(1, 2).flatten(2))
        return out


def tell(module: nn.Module, *vectors_BHTE: torch.Tensor) -> None:
    """Hand queries, keys and values to what watches ``module``, where anything does."""
    if (watch := getattr(module, WATCH, None)) is not None:
        watch(*vectors_BHTE)


def mix(
    query_BHTE: torch.Tensor,
    key_BHTE: torch.Tensor,
    value_BHTE: torch.Tensor,
    attends: torch.Tensor | None,
    scale: float | None = None,
    dropout: float = 0.0,
) -> torch.Tensor:
    """Return for every step the mean of the values that it attends to, by softmax(query key * scale), [B, H, T, E].

    Args:
        attends: bool, [B, 1, 1, T] or [B, 1, T, T], true where a step is attended to; None: all are. Of floats: what is
            added to the products, such as a bias by places.
        scale: 1 / sqrt(E) where it is not given.
        dropout: the share of weights that are left out, in training.

    Written out for ONNX: the exporter would add -3e38 to what is not attended to, and an activation with that in its
    range has nothing left in 8 bits.
    """
    if not torch.compiler.is_exporting():
        return F.scaled_dot_product_attention(
            query_BHTE, key_BHTE, value_BHTE, attn_mask=attends, dropout_p=dropout, scale=scale
        )
    factor = query_BHTE.shape[3] ** -0.5 if scale is None else scale
    scores_BHTT = (query_BHTE * factor) @ key_BHTE.transpose(2, 3)
    if attends is not None:
        added = attends.is_floating_point()
        scores_BHTT = scores_BHTT + attends if added else scores_BHTT.masked_fill(~attends, -torch.inf)
    return scores_BHTT.softmax(dim=3) @ value_BHTE
