"""Convolutions over words."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from thresher.config import KindConfig


class TextCnn(KindConfig):
    """Filters over a few neighbouring words, their largest answers over the text, dropout, one linear layer.

    Source: Kim, "Convolutional Neural Networks for Sentence Classification", EMNLP 2014, the variant CNN-rand, without
    its bound on the norm of the output weights.
    """

    kind: Literal["textcnn"] = "textcnn"
    dimension: int = Field(default=128, ge=1, le=65536)
    """The length of a token's vector."""
    filter_widths: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(default=(3, 4, 5), min_length=1, max_length=8)
    """Tokens that a filter looks at."""
    num_filters: int = Field(default=100, ge=1, le=65536)
    """The number of filters of each width."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
