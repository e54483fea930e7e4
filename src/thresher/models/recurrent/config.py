"""Recurrent networks, for texts and series."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from thresher.config import KindConfig


class _Recurrent(KindConfig):
    dimension: int = Field(default=128, ge=1, le=65536)
    """The length of a token's vector; a series is not embedded."""
    hidden: int = Field(default=128, ge=1, le=65536)
    """Units of each layer, in each direction."""
    num_layers: int = Field(default=1, ge=1, le=16)
    bidirectional: bool = True
    """Whether a second network reads backwards."""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Before the first layer, between layers and before the output."""


class Lstm(_Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997); its last states go to one linear layer."""

    kind: Literal["lstm"] = "lstm"


class Gru(_Recurrent):
    """Gated recurrent units (Cho et al. 2014); their last states go to one linear layer."""

    kind: Literal["gru"] = "gru"
