"""Training after pruning, to win back what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from thresher.compression.data import CompressionData
from thresher.config import Config

if TYPE_CHECKING:
    from thresher.models.network import Network


class Finetune(Config):
    """Train on with the recipe's optimizer; weights that are zero stay zero."""

    kind: Literal["finetune"] = "finetune"
    epochs: int = Field(default=2, ge=1, le=100_000)
    """Passes over the training split; the weights of the best one by validation loss are kept."""
    lr: float | None = Field(default=None, gt=0, le=10)
    """Learning rate; the training's own where it is not given."""


def finetune(network: Network, config: Finetune, data: CompressionData) -> Network:
    """Return a copy of ``network`` trained on for ``epochs``, over which the training's schedule begins anew.

    It is not ended early: so few epochs are what the recipe asks for.
    """
    from thresher.training.loop import train

    optimizer = data.training.optimizer
    if config.lr is not None:
        optimizer = optimizer.model_copy(update={"lr": config.lr})
    changed = {"epochs": config.epochs, "optimizer": optimizer, "early_stopping": None, "search": None}
    training = data.training.model_copy(update=changed)
    samples = (data.training_samples, data.validation_samples)
    return train(network, *samples, training, data.candidate, data.execution, data.checkpoints)[0]
