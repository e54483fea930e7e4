"""What a recipe says of a pretrained model."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from thresher.config import Config, KindConfig
from thresher.models.imported.config import ModelPath


class Freeze(Config):
    """Weights that training leaves as they are."""

    embeddings: bool = False
    """Whether the tables of tokens and positions stay, with what normalizes and projects them."""
    blocks: int = Field(default=0, ge=0)
    """How many of the encoder's blocks stay, counted from the embeddings."""


class Pretrained(KindConfig):
    """A pretrained encoder with a fresh head of the task's width, trained further by the recipe.

    The folder has Hugging Face's layout: `config.json`, `tokenizer.json` and `model.safetensors`, or its shards.
    """

    kind: Literal["pretrained"] = "pretrained"
    path: ModelPath
    """The folder, relative to the project's folder."""
    init: Literal["weights", "random"] = "weights"
    """weights: the folder's. random: the architecture alone, from its config, with weights drawn by the seed."""
    freeze: Freeze = Field(default_factory=Freeze)
    """Weights that training leaves as they are."""
    pooling: Literal["default", "mean"] = "default"
    """What the head sees of a text. default: what the family's own head does, of most the first token's vector. mean:
    the mean of all tokens' vectors, with one linear layer on it, as models of sentences were trained (Reimers and
    Gurevych 2019)."""
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    """What the learning rate is multiplied by with each block further from the head, which has the whole rate; the
    embeddings have the smallest (Howard and Ruder 2018; Clark et al. 2020)."""
    architecture: dict[str, Any] | None = None
    """The content of config.json. A run reads it from the folder and stores it with the weights, so that the network
    can be rebuilt without the folder; recipes leave it out."""
