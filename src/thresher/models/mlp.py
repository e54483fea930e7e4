"""A multilayer perceptron, for images and rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from thresher.config import KindConfig
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.tabular.model_input import TabularInput

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


def build_mlp(config: Mlp, given: ImageInput | TabularInput, width: int) -> nn.Module:
    """Return the body that maps images [B, C, H, W], or numbers [B, N] and codes [B, M], to [B, ``width``]."""
    from torch import nn

    from thresher.models.tabular import RowEmbedding, RowNetwork

    if isinstance(given, ImageInput):
        channels, height, across = given.longest
        return nn.Sequential(nn.Flatten(), *_layers(config, channels * height * across, width))
    embedding = RowEmbedding(given)
    return RowNetwork(embedding, nn.Sequential(*_layers(config, embedding.width, width)))


def _layers(config: Mlp, width_in: int, width_out: int) -> list[nn.Module]:
    from torch import nn

    layers: list[nn.Module] = []
    for units in config.hidden:
        layers += [nn.Linear(width_in, units), nn.ReLU(), nn.Dropout(config.dropout)]
        width_in = units
    return [*layers, nn.Linear(width_in, width_out)]
