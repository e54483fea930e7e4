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
    before: int = Field(ge=1)
    """How many there were."""
    num_met: int = Field(ge=0)
    """Tokens of the validation split."""
    num_lost: int = Field(ge=0)
    """Those of them that have no row of their own."""

    @property
    def words(self) -> str:
        """What is left and what that costs, for people."""
        return (
            f"{self.rows:,} of {self.before:,} rows of {self.table}; of the validation split's {self.num_met:,} "
            f"tokens, {self.num_lost:,} ({self.num_lost / max(self.num_met, 1):.2%}) have the row of another"
        )


class SharedRows(nn.Module):
    """An embedding in whose table several tokens share a row: tokens [...] to [..., D].

    Which row each token has is 4 bytes of the state.
    """

    row_of: torch.Tensor

    def __init__(self, whole: nn.Embedding, kept: KeptRows) -> None:
        super().__init__()
        self.register_buffer("row_of", torch.zeros(whole.num_embeddings, dtype=torch.int32))
        self.rows = nn.Embedding(kept.rows, whole.embedding_dim, padding_idx=kept.padding)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        embedded: torch.Tensor = self.rows(self.row_of[tokens])
        return embedded


@generator_turn()  # an embedding draws its first weights
def share_rows(body: nn.Module, kept: KeptRows) -> SharedRows:
    """Put a table whose rows are to be filled in place of the one that ``kept`` names, and return it."""
    whole = body.get_submodule(kept.table)
    assert isinstance(whole, nn.Embedding)
    shared = SharedRows(whole, kept)
    body.set_submodule(kept.table, shared)
    return shared
