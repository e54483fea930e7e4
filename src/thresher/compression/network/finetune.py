"""Training after pruning, to win back what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from thresher.compression.data import CompressionData
from thresher.config import Config, KindConfig
from thresher.models import FLOAT
from thresher.training.schedules import Schedule

if TYPE_CHECKING:
    from thresher.models.network import Network


class Relations(Config):
    """How the attention of a student and of its teacher is compared."""

    weight: float = Field(default=1.0, gt=0, le=1_000_000)
    """Of how far the relations are apart, in the loss."""
    heads: int | None = Field(default=None, ge=1, le=4096)
    """Relation heads, which divide what both make of queries, keys and values; where they are not given, the most that
    do, up to 48, each 8 wide or more."""


class Distill(Config):
    """Learn from another candidate's answers besides the labels."""

    from_: str = Field(default=FLOAT, alias="from")
    """The teacher: float, or a candidate with a network of its own."""
    temperature: float = Field(default=4.0, gt=0, le=1000)
    """The temperature of both softmaxes: the higher, the more the teacher's small probabilities count."""
    weight: float = Field(default=0.5, gt=0, le=1)
    """The share of the loss that compares with the teacher; the labels have the rest."""
    features: float = Field(default=0.0, ge=0, le=1_000_000)
    """Weight of where the convolutions look, besides; 0 leaves it out."""
    hidden: float = Field(default=0.0, ge=0, le=1_000_000)
    """Weight of what the blocks of a Transformer make, besides; 0 leaves it out."""
    relations: Relations | None = None
    """Learn what queries, keys and values of the last attention say of each other, besides."""


class Finetune(KindConfig):
    """Train on with the recipe's optimizer; weights that are zero stay zero."""

    kind: Literal["finetune"] = "finetune"
    epochs: int = Field(default=2, ge=1, le=100_000)
    """Passes over the training split; the weights of the best one by validation loss are kept."""
    lr: float | None = Field(default=None, gt=0, le=10)
    """Learning rate; the training's own where it is not given."""
    schedule: Schedule | None = None
    """The schedule of the learning rate; the training's own if it is not given."""
    distill: Distill | None = None
    """A teacher; the labels alone count where there is none."""


def finetune(network: Network, config: Finetune, data: CompressionData) -> Network:
    """Return a copy of ``network`` trained on for ``epochs``, over which the schedule begins anew.

    It is not ended early: so few epochs are what the recipe asks for.

    Raises:
        TrainingError: a loss that is not finite.
    """
    from thresher.training.distillation import Teaching
    from thresher.training.hidden_states import PROJECTION, Pairs
    from thresher.training.loop import train

    optimizer = data.training.optimizer
    if config.lr is not None:
        optimizer = optimizer.model_copy(update={"lr": config.lr})
    own = {"epochs": config.epochs, "optimizer": optimizer, "schedule": config.schedule or data.training.schedule}
    training = data.training.model_copy(update={**own, "early_stopping": None, "search": None})
    samples = (data.training_samples, data.validation_samples)
    teaching, run = None, (data.execution, data.checkpoints)
    if (distill := config.distill) is not None:
        teacher = data.teachers[distill.from_]
        pairs: Pairs = ()
        if distill.hidden and not isinstance(teacher, np.ndarray):
            from thresher.compression.network.hidden_pairs import pair_hidden_states

            network, pairs = pair_hidden_states(network, teacher, data)
        attention, relations = None, distill.relations
        if relations is not None and not isinstance(teacher, np.ndarray):
            from thresher.compression.network.relation_pair import pair_attention

            attention = pair_attention(network, teacher, relations.heads, data)
        if pairs or attention:
            # What is computed a second time would be watched a second time.
            training = training.model_copy(update={"activation_checkpointing": False})
        shares = (distill.temperature, distill.weight, distill.features, distill.hidden, pairs)
        teaching = Teaching(teacher, *shares, relations.weight if relations is not None else 0.0, attention)
    trained = train(network, *samples, training, data.candidate, *run, teaching=teaching)[0]
    if hasattr(trained, PROJECTION):
        delattr(trained, PROJECTION)
    return trained


def teacher_names(step: Config) -> tuple[str, ...]:
    """Return the candidates that ``step`` distills from, itself or in the finetuning between its iterations."""
    between, distill = getattr(step, "between", None), getattr(step, "distill", None)
    own = (distill.from_,) if distill is not None else ()
    return own + (teacher_names(between) if between is not None else ())
