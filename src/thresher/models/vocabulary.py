"""A table of tokens of which some rows are gone: every token has a row still, several tokens the same."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

from thresher.config import Config
from thresher.models.random_numbers import generator_turn


class KeptRows(Config):
    """What `prune_vocabulary` left of the table of tokens."""

    table: str
    """The embedding, by its name in the body."""
    rows: int = Field(ge=1)
    """How many are left."""
    padding: int | None = Field(default=None, ge=0)
    """The row that is never trained, where the embedding has one."""


class SharedRows(nn.Module):
    """An embedding in whose table several tokens share a row: tokens [...] to [..., D].

    Which row each token has is 4 bytes of the state.
    """

    row_of: torch.Tensor

    def __init__(self, num_tokens: int, dimension: int, kept: KeptRows) -> None:
        super().__init__()
        self.register_buffer("row_of", torch.zeros(num_tokens, dtype=torch.int32))
        self.rows = nn.Embedding(kept.rows, dimension, padding_idx=kept.padding)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        embedded: torch.Tensor = self.rows(self.row_of[tokens])
        return embedded


@generator_turn()  # an embedding draws its first weights
def share_rows(body: nn.Module, kept: KeptRows) -> SharedRows:
    """Put a table whose rows are to be filled in place of the one that ``kept`` names, and return it."""
    before = body.get_submodule(kept.table)
    if isinstance(before, SharedRows):
        shared = SharedRows(len(before.row_of), before.rows.embedding_dim, kept)
    else:
        assert isinstance(before, nn.Embedding)
        shared = SharedRows(before.num_embeddings, before.embedding_dim, kept)
    body.set_submodule(kept.table, shared)
    return shared
