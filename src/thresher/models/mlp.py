"""A multilayer perceptron, for images and rows of a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from thresher.config import KindConfig

if TYPE_CHECKING:
    from torch import nn

Hidden = Annotated[int, Field(ge=1, le=65536)]


class Mlp(KindConfig):
    """Fully connected layers with ReLU and dropout; a categorical column enters by an embedding."""

    kind: Literal["mlp"] = "mlp"
    hidden: tuple[Hidden, ...] = Field(default=(128, 64), min_length=1, max_length=16)
    """Units of each hidden layer, first to last."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the units that each step of training leaves out, after every hidden layer."""


def build_mlp(config: Mlp, given: Any, width: int) -> nn.Module:
    """Return the body that maps dense samples [B, ...], or numbers [B, N] and codes [B, M], to [B, ``width``]."""
    from torch import nn

    from thresher.models.tabular import RowEmbedding, RowNetwork

    if given.is_dense:
        return nn.Sequential(nn.Flatten(), *_layers(config, math.prod(given.longest), width))
    embedding = RowEmbedding(given)
    return RowNetwork(embedding, nn.Sequential(*_layers(config, embedding.width, width)))


def _layers(config: Mlp, width_in: int, width_out: int) -> list[nn.Module]:
    from torch import nn

    layers: list[nn.Module] = []
    for units in config.hidden:
        layers += [nn.Linear(width_in, units), nn.ReLU(), nn.Dropout(config.dropout)]
        width_in = units
    return [*layers, nn.Linear(width_in, width_out)]
