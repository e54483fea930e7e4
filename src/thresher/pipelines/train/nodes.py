"""The nodes of the training stage."""

from __future__ import annotations

import numpy as np

from thresher import modalities
from thresher.contracts import ContractReport, require
from thresher.errors import DataError
from thresher.modalities import EncodingChoice
from thresher.modalities.encoder import Encoder
from thresher.modalities.outputs import AnyOutput, ClassOutput, ValueOutput
from thresher.modalities.samples import EncodedSamples, Samples
from thresher.modalities.split import mark_held_out
from thresher.models import ModelChoice
from thresher.pipelines.types import Network, TrainingHistory
from thresher.training import Training


def hold_out(train: Samples, contract_report: ContractReport, task: str, validation: float, seed: int) -> np.ndarray:
    """Return a bool array [N], true for the samples of ``train`` that validate and are not learned from.

    Args:
        task: what the recipe says; the data must agree.
        validation: their share, of each class alike.

    Raises:
        ContractError: the data breaks its contract; nothing after this runs.
        DataError: too few samples to split, or data for another task.
    """
    require(contract_report)
    if train.task != task:
        has = "classes" if train.class_names else "numbers"
        raise DataError(f"The recipe's task is {task}, but the labels are {has}. Fix: task: {train.task}.")
    held_out = mark_held_out(train, validation, seed)
    if not held_out.any() or held_out.all():
        raise DataError(f"{len(train)} training samples, one a class, leave none to validate with. Add samples.")
    return held_out


def fit_encoder(train: Samples, held_out: np.ndarray, encoding: EncodingChoice) -> Encoder:
    """Return what turns raw input into tensors, fitted on the training split alone."""
    return modalities.fit_encoder(train.take(~held_out), encoding.root)


def encode_samples(
    train: Samples, test: Samples, held_out: np.ndarray, encoder: Encoder
) -> tuple[EncodedSamples, EncodedSamples, EncodedSamples]:
    """Return the training, validation and test samples as the model takes them.

    Raises:
        DataError: a sample that cannot be encoded, with its place.
    """
    splits = (train.take(~held_out), train.take(held_out), test)
    training, validation, tested = (modalities.encode(encoder, split) for split in splits)
    return training, validation, tested


def train_float(
    training_samples: EncodedSamples,
    validation_samples: EncodedSamples,
    encoder: Encoder,
    model: ModelChoice,
    training: Training,
) -> tuple[Network, TrainingHistory]:
    """Return the trained float network and its history."""
    import torch

    from thresher.models.network import Network, NetworkSpec
    from thresher.training.loop import train

    spec = NetworkSpec(model=model.root, input=encoder.model_input, output=_output(training_samples))
    torch.manual_seed(training.seed)
    return train(Network(spec), training_samples, validation_samples, training, "float")


def _output(samples: EncodedSamples) -> AnyOutput:
    """Return what a model must answer that learns from ``samples``."""
    if samples.class_names:
        return ClassOutput(num_classes=len(samples.class_names))
    return ValueOutput(mean=float(samples.labels.mean()), std=float(samples.labels.std()) or 1.0)
