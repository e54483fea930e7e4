"""The Transformer's encoder, for texts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from thresher.config import KindConfig


class Transformer(KindConfig):
    """Blocks of self-attention and a feed-forward layer, the mean over the tokens, one linear layer.

    Source: Vaswani et al., "Attention Is All You Need", 2017. Positions are learned, and norms come before what they
    normalize (Xiong et al. 2020), which trains without a warm-up.
    """

    kind: Literal["transformer"] = "transformer"
    dimension: int = Field(default=128, ge=1, le=65536)
    """The length of a token's vector."""
    num_layers: int = Field(default=2, ge=1, le=64)
    num_heads: int = Field(default=4, ge=1, le=256)
    feed_forward: int = Field(default=256, ge=1, le=262144)
    """Units of the feed-forward layer."""
    dropout: float = Field(default=0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_share_evenly(self) -> Transformer:
        if self.dimension % self.num_heads:
            raise ValueError(f"dimension {self.dimension} cannot be divided evenly among {self.num_heads} heads")
        return self

    @property
    def num_blocks(self) -> int:
        """The blocks of which `drop_layers` leaves some."""
        return self.num_layers
