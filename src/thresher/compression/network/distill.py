"""Distillation into a student: another, smaller network learns what the network before it answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from thresher.compression.data import CompressionData
from thresher.compression.network.finetune import Distill, Finetune, Relations, finetune
from thresher.config import KindConfig
from thresher.errors import CompressionError, ThresherError
from thresher.events import Step, emit
from thresher.modalities.outputs import AnyOutput, output_of
from thresher.models import FLOAT, Model
from thresher.models.pretrained.config import Pretrained
from thresher.training.schedules import Schedule

if TYPE_CHECKING:
    from thresher.models.network import Network


class DistillStudent(KindConfig):
    """Train a model of any kind to answer as the network does that the chain has made so far, and go on with it.

    It learns with the recipe's optimizer, from the soft targets of Hinton et al., "Distilling the Knowledge in a Neural
    Network", 2015, besides the labels.
    """

    kind: Literal["distill"] = "distill"
    student: Model
    """The model that learns: a kind with its settings, as `model` has them."""
    epochs: int = Field(default=10, ge=1, le=100_000)
    """Passes over the training split."""
    lr: float | None = Field(default=None, gt=0, le=10)
    """Learning rate; the training's own where it is not given. A student begins from nothing, and wants a higher one
    than a pretrained teacher."""
    schedule: Schedule | None = None
    """The schedule of the learning rate; the training's own if it is not given."""
    temperature: float = Field(default=4.0, gt=0, le=1000)
    """The temperature of both softmaxes: the higher, the more the teacher's small probabilities count."""
    weight: float = Field(default=0.5, gt=0, le=1)
    """The share of the loss that compares with the teacher; the labels have the rest."""
    hidden: float = Field(default=0.0, ge=0, le=1_000_000)
    """Weight of what the blocks make, besides, where student and teacher are Transformers; 0 leaves it out."""
    relations: Relations | None = None
    """Learn what queries, keys and values of the last attention say of each other, besides."""


def distill(network: Network | np.ndarray, config: DistillStudent, data: CompressionData) -> Network:
    """Return a trained network of ``config.student`` that takes the same inputs; ``network`` is its teacher.

    Its first weights are drawn by the training's seed, or a pretrained folder's.

    Args:
        network: of a teacher that is none, what it answers to the training samples, as `Teaching` has it.

    Raises:
        CompressionError: a pretrained student that cannot take what the encoder makes.
        TrainingError: a loss that is not finite.
    """
    # What the teacher answers is learned as it stands: both count in the same unit.
    output = output_of(data.training_samples) if isinstance(network, np.ndarray) else network.spec.output
    student = _build_student(output, config.student, data)
    teacher = (
        f"the answers to {len(network):,} samples" if isinstance(network, np.ndarray) else f"one of {_size(network)}"
    )
    emit(Step(f"distill: a {config.student.kind} of {_size(student)} weights learns from {teacher}"))
    teaching = Distill(
        temperature=config.temperature, weight=config.weight, hidden=config.hidden, relations=config.relations
    )
    course = Finetune(epochs=config.epochs, lr=config.lr, schedule=config.schedule, distill=teaching)
    return finetune(student, course, replace(data, teachers={FLOAT: network}))


def _size(network: Network) -> str:
    return f"{sum(weight.numel() for weight in network.parameters()):,}"


def _build_student(output: AnyOutput, model: Model, data: CompressionData) -> Network:
    """Return the untrained student, tried on a sample where a folder says what it is made of."""
    import torch

    from thresher.models.pretrained.student import student_architecture
    from thresher.models.start import build_start

    seed = data.training.seed
    if not isinstance(model, Pretrained):
        return build_start(model, data.input, output, seed)
    folder = data.folders[model.path]
    model = model.model_copy(update={"architecture": student_architecture(folder, model, data.input)})
    try:
        student = build_start(model, data.input, output, seed, folder)
        with torch.inference_mode():
            student.eval()(torch.from_numpy(data.input.example(2)))
    except ThresherError:
        raise
    except Exception as error:  # an encoder of other sizes raises whatever it stumbles on
        raise CompressionError(
            f"{data.candidate}: distill: the encoder of {folder.name} cannot take what the recipe's encoder makes, "
            f"{list(data.input.longest)} a sample: {error}. Fix: another folder, or other sizes in its config.json."
        ) from error
    return student
